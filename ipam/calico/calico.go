// Package calico has the releases of Calico, v3.22 to v3.33, and the rules in
// which they differ; docs/calico.md §16 describes them. A section sign cites that
// document.
//
// A rule is named by its field of [Rules]:
//
//	calico.First(func(r *calico.Rules) *bool { return &r.Cooldown }) // v3.33
package calico

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A Version is a release of Calico, such as v3.28.2. The zero value is the newest
// that this package knows. [V3] makes one of a line's number, [Parse] of a text.
// Versions of the same release compare equal, except that the newest is zero or
// itself ([Version.Known]); older ones are smaller.
type Version int

const (
	major3      Version = 300    // v3.28.2 is 328*10,000 + 2
	linePatches Version = 10_000 // more than any line has
	lastPatch           = linePatches - 1

	oldestVersion = (major3 + 22) * linePatches
	newestVersion = (major3+33)*linePatches + lastPatch
)

// V3 returns the last patch of a line of Calico's releases: V3(28) is what "v3.28"
// stands for. Lines are numbered 0 to 9,999; 22 to 33 are known here.
func V3(line int) Version { return (major3+Version(line))*linePatches + lastPatch }

// Parse reads a version such as "v3.28.2", "3.28" or "v3.31.7-12-gabc": it ignores
// text after the three numbers. "master" and the empty text are the newest. Any
// other text, also one of another major version than 3, matches
// [codes.InvalidArgument]. Releases older than v3.22 and newer than v3.33 are
// valid too; [Version.Covered] reports whether this package has rules for a
// release.
func Parse(text string) (Version, error) {
	if text == "" || text == "master" {
		return 0, nil
	}
	wrong := &invalidError{text}
	major, rest, dotted := strings.Cut(strings.TrimPrefix(text, "v"), ".")
	if major != "3" || !dotted {
		return 0, wrong
	}
	line, rest, patched := strings.Cut(rest, ".")
	n, err := number(line)
	if err != nil {
		return 0, wrong
	}
	v := (major3+n)*linePatches + lastPatch
	if patched {
		digits := rest
		if i := strings.IndexAny(rest, "-+"); i >= 0 {
			digits = rest[:i]
		}
		patch, err := number(digits)
		if err != nil {
			return 0, wrong
		}
		v += min(patch, lastPatch) - lastPatch
	}
	return v, nil
}

// An invalidError is the error for a text that is no version.
type invalidError struct{ text string }

func (e *invalidError) Error() string {
	return fmt.Sprintf("ipam: invalid version %q: must be a release of Calico such as v3.28 or v3.28.2", e.text)
}

func (e *invalidError) Unwrap() error { return codes.InvalidArgument }

// number reads a number of up to four digits.
func number(digits string) (Version, error) {
	if len(digits) > 4 {
		return 0, strconv.ErrRange
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return Version(n), err
}

// String returns the version as it is written: "v3.28.2", or "v3.28" for the last
// patch of a line.
func (v Version) String() string {
	v = v.Known()
	if v.patch() == lastPatch {
		return fmt.Sprintf("v3.%d", int(v.line()))
	}
	return fmt.Sprintf("v3.%d.%d", int(v.line()), int(v.patch()))
}

// Known returns the release that the version stands for: the newest one for zero.
func (v Version) Known() Version {
	if v == 0 {
		return newestVersion
	}
	return v
}

// line returns 28 for v3.28.2, and patch 2.
func (v Version) line() Version  { return v/linePatches - major3 }
func (v Version) patch() Version { return v % linePatches }

// Covered reports whether the rules of this release are known: those of v3.22 to
// v3.33. An older release has the oldest rules and a newer one the newest, which
// may be wrong.
func (v Version) Covered() bool {
	v = v.Known()
	return oldestVersion <= v && v <= newestVersion
}

// Caveat returns a warning about a release that is not covered
// ([Version.Covered]), a sentence without its full stop, or "".
func (v Version) Caveat() string {
	switch {
	case v.Covered():
		return ""
	case v < oldestVersion:
		return "Calico " + v.String() + " is answered as v3.22: older allocators were not looked at, and of the cleaning controller none before v3.24"
	}
	return "Calico " + v.String() + " is answered as v3.33, the newest release that is known here"
}

// Rules are the differences between Calico's releases. A true field is the newer
// behaviour; all are true for the newest release (§16).
type Rules struct {
	// The allocator.

	ReclaimEmptyBlocks  bool // an empty block of another owner is taken when none is left to claim
	LowerByReleased     bool // ReleaseIPs lowers a handle by the number released, not by one for each block
	QueueByOrdinal      bool // ReleaseIPs queues ascending ordinals, not addresses as text
	FreeHasNoNumber     bool // ReleaseByHandle clears the sequence number of what it frees
	ReservationsInUsage bool // reservations count in utilization
	EnsureByPools6      bool // EnsureBlock uses the IPv6 pools for IPv6
	TellReleased        bool // ReleaseIPs names what it released
	DisabledByAddress   bool // the block of an address in a disabled pool has the pool's size
	LoadBalancer        bool // virtual owners, use LoadBalancer, assignment mode Manual, a use for AssignIP
	NamespaceSelector   bool // pools have a namespace selector
	CapsPerHandle       bool // requests may limit what a handle holds
	AlternateOwners     bool // addresses have an alternate owner; SetOwnerAttributes
	AssignIPChecksUse   bool // AssignIP refuses a use that the pool does not allow
	Cooldown            bool // a released address cools down before it is free
	ReleaseReadsConfig  bool // releases read the configuration

	// What calicoctl prints.

	GoPrettyTables bool // tables in the style of go-pretty, not of tablewriter
	ReservedColumn bool // tables have the column IPS RESERVED
	BorrowedVMIs   bool // borrowed addresses of virtual machines are of type vmi
	OwnersOfIP     bool // the page of one address has its handle and both owners

	// The cleaning controller. None of these has a recording: they are known from
	// reading Calico.

	ScansDirtyNodes      bool // a sync scans the nodes where something changed, not all of them
	ReleasesAnyEmpty     bool // an empty block is released even if its node's other blocks are full
	UseForgetsEmpty      bool // the grace period of an empty block restarts after it was used
	EvictedLoseAddresses bool // an evicted pod loses the addresses that it reports
	ReleasesLeaksAtOnce  bool // one ReleaseIPs releases all leaks, not one for each
	RetriesWithBackoff   bool // a sync that failed waits longer each time; nodes have no rate limit
	CleansNodeByNode     bool // a node is clean once it was scanned, not once the sync succeeded
	DeletedBlockForgets  bool // allocations of a deleted block are no leaks and belong to no handle
	JudgesMachines       bool // virtual machines hold their addresses, not their pods
	RenewsGivenOut       bool // an address given out anew to its handle is no suspect, and has its new number
	CollectsCold         bool // addresses whose cooldown is over are collected
	RepeatsForLeaks      bool // leaks that remain start another sync
	RepeatsForNodes      bool // nodes that could not be released do too, and are no error
}

// Rules returns the rules of the release.
func (v Version) Rules() Rules {
	var r Rules
	for i := range releases {
		*releases[i].field(&r) = releases[i].in(v)
	}
	return r
}

// A change is one behaviour that a release of Calico brought.
type change struct {
	field func(*Rules) *bool
	what  string // the name of a feature, or the change
	// since has the first release of each line that has the change, ascending.
	// Lines after the last have it, other lines before do not: a backport may
	// reach v3.31.7 while v3.32 lacks it.
	since []Version
	pull  string // the pull request of projectcalico/calico
	cite  string // the section of docs/calico.md
}

// in reports whether the release has the change.
func (c *change) in(v Version) bool {
	v = v.Known()
	for _, first := range c.since {
		if v.line() == first.line() {
			return v >= first
		}
	}
	return v > c.since[len(c.since)-1]
}

// releases has every known change, those of the allocator first, then those of
// calicoctl and of the cleaning controller.
var releases = []change{
	{func(r *Rules) *bool { return &r.ReclaimEmptyBlocks }, "reclaim of empty blocks, claim times", firsts("v3.32.0"), "#11149", "§5"},
	{func(r *Rules) *bool { return &r.LowerByReleased }, "handles lowered by what was released", firsts("v3.33.0"), "#12554", "§9"},
	{func(r *Rules) *bool { return &r.QueueByOrdinal }, "released addresses queued by ordinal", firsts("v3.33.0"), "#12638", "§6"},
	{func(r *Rules) *bool { return &r.FreeHasNoNumber }, "no sequence number for free addresses", firsts("v3.33.0"), "#12638", "§6"},
	{func(r *Rules) *bool { return &r.ReservationsInUsage }, "reservations in utilization", firsts("v3.33.0"), "#13331", "§9"},
	{func(r *Rules) *bool { return &r.EnsureByPools6 }, "IPv6 pools for EnsureBlock", firsts("v3.31.7", "v3.33.0"), "#13197", "§9"},
	{func(r *Rules) *bool { return &r.TellReleased }, "released addresses in the answer", firsts("v3.31.0"), "#10333", "§9"},
	{func(r *Rules) *bool { return &r.DisabledByAddress }, "disabled pools by address", firsts("v3.30.4", "v3.31.0"), "#10973", "§9"},
	{func(r *Rules) *bool { return &r.LoadBalancer }, "use LoadBalancer and assignment mode Manual", firsts("v3.30.0"), "#9221", "§3"},
	{func(r *Rules) *bool { return &r.NamespaceSelector }, "namespaceSelector", firsts("v3.31.0"), "#10888", "§3"},
	{func(r *Rules) *bool { return &r.CapsPerHandle }, "maxAllocPerHandle", firsts("v3.32.0"), "#11865", "§7"},
	{func(r *Rules) *bool { return &r.AlternateOwners }, "alternate owners", firsts("v3.32.0"), "#11894", "§9"},
	{func(r *Rules) *bool { return &r.AssignIPChecksUse }, "AssignIP's check of the use", firsts("v3.33.0"), "#13301", "§9"},
	{func(r *Rules) *bool { return &r.Cooldown }, "ipCooldownSeconds", firsts("v3.33.0"), "#12638", "§9"},
	{func(r *Rules) *bool { return &r.ReleaseReadsConfig }, "configuration read by releases", firsts("v3.33.0"), "#12638", "§15"},

	{func(r *Rules) *bool { return &r.GoPrettyTables }, "tables by go-pretty", firsts("v3.33.0"), "#12559", "§11"},
	{func(r *Rules) *bool { return &r.ReservedColumn }, "column IPS RESERVED", firsts("v3.33.0"), "#13331", "§11"},
	{func(r *Rules) *bool { return &r.BorrowedVMIs }, "type vmi of borrowed addresses", firsts("v3.32.0"), "#11971", "§11"},
	{func(r *Rules) *bool { return &r.OwnersOfIP }, "owners of an address", firsts("v3.32.0"), "#11894", "§11"},

	{func(r *Rules) *bool { return &r.ScansDirtyNodes }, "scans of dirty nodes", firsts("v3.30.0"), "#9654", "§12"},
	{func(r *Rules) *bool { return &r.ReleasesAnyEmpty }, "release of an empty block beside full ones", firsts("v3.28.0"), "#8454", "§12"},
	{func(r *Rules) *bool { return &r.UseForgetsEmpty }, "new grace period after a block was used", firsts("v3.28.0"), "#8454", "§12"},
	{func(r *Rules) *bool { return &r.EvictedLoseAddresses }, "release of evicted pods' addresses", firsts("v3.29.0"), "#7713", "§12"},
	{func(r *Rules) *bool { return &r.ReleasesLeaksAtOnce }, "release of leaks in one call", firsts("v3.31.0"), "#10333", "§12"},
	{func(r *Rules) *bool { return &r.RetriesWithBackoff }, "backoff of syncs", firsts("v3.31.0"), "#10333", "§12"},
	{func(r *Rules) *bool { return &r.CleansNodeByNode }, "nodes clean one by one", firsts("v3.31.6"), "#11906", "§12"},
	{func(r *Rules) *bool { return &r.DeletedBlockForgets }, "end of what a deleted block held", firsts("v3.31.5"), "#12277", "§12"},
	{func(r *Rules) *bool { return &r.JudgesMachines }, "addresses judged by virtual machines", firsts("v3.32.0"), "#11969", "§12"},
	{func(r *Rules) *bool { return &r.RenewsGivenOut }, "trust in what is given out anew", firsts("v3.33.0"), "#12839", "§12"},
	{func(r *Rules) *bool { return &r.CollectsCold }, "collection of cold addresses", firsts("v3.33.0"), "#12638", "§12"},
	{func(r *Rules) *bool { return &r.RepeatsForLeaks }, "syncs for leaks that remain", firsts("v3.31.0"), "#10333", "§12"},
	{func(r *Rules) *bool { return &r.RepeatsForNodes }, "syncs for nodes that remain", firsts("v3.31.6"), "#11906", "§12"},
}

// firsts reads the first release of each line that has a change.
func firsts(texts ...string) []Version {
	versions := make([]Version, len(texts))
	for i, text := range texts {
		v, err := Parse(text)
		if err != nil {
			panic(err) // a mistake in this file
		}
		versions[i] = v
	}
	return versions
}

// Without says why a release without the rule refuses a request that needs it:
// what it lacks, and the first release that has it.
func (v Version) Without(rule func(*Rules) *bool) string {
	c := changeOf(rule)
	return fmt.Sprintf("Calico %s has no %s; %s is the first release that does", v, c.what, c.first())
}

// First returns the first release that has the rule, as a line if the whole line
// has it.
func First(rule func(*Rules) *bool) Version { return changeOf(rule).first() }

// changeOf returns the row of a field of the rules, which has one.
func changeOf(field func(*Rules) *bool) *change {
	var r Rules
	return &releases[slices.IndexFunc(releases, func(c change) bool { return c.field(&r) == field(&r) })]
}

// first returns the first release that has the change, as a line if the whole line
// has it.
func (c *change) first() Version {
	v := c.since[0]
	if v.patch() == 0 {
		return v + lastPatch
	}
	return v
}
