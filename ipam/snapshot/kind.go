package snapshot

// Kind is what a finding or problem is about. Its text is stable: programs may
// rely on it.
type Kind string

// The kinds of findings. All but the first two are what Check looks for in a
// cluster that could be read.
const (
	// Unreadable: a text or field that is not as it must be.
	Unreadable Kind = "unreadable"
	// Duplicate: an object that is given twice.
	Duplicate Kind = "duplicate"
	// BlockContradiction: a block whose queue and allocations disagree, with an
	// attribute that does not exist, or with an ordinal twice or out of range.
	BlockContradiction Kind = "block-contradiction"
	// BlockOverlap: a block that shares addresses with another.
	BlockOverlap Kind = "block-overlap"
	// BlockSize: a block of another size than its pool's.
	BlockSize Kind = "block-size"
)
