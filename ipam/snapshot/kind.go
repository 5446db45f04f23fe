package snapshot

// Kind is the kind of a finding or problem. Programs may rely on its text.
type Kind string

// The kinds of findings. The first two are about the resources, the rest about the
// cluster that they describe.
const (
	// Unreadable: a text or field that cannot be read.
	Unreadable Kind = "unreadable"
	// Duplicate: an object that is given twice.
	Duplicate Kind = "duplicate"

	// WillBeTaken: an address that a pod or tunnel uses, and that kube-controllers will
	// give back all the same.
	WillBeTaken Kind = "used-will-be-released"
	// TwoOwners: an address that two use, or that is allocated to one and used by
	// another.
	TwoOwners Kind = "two-owners"
	// NotAllocated: an address of a pool that is used but not allocated. It may be
	// handed out again.
	NotAllocated Kind = "used-not-allocated"
	// OutsidePools: an address that a pod or tunnel uses and that is in no pool.
	OutsidePools Kind = "used-outside-pools"
	// NotUsed: an address that is allocated, but that no pod and no node uses. It
	// has leaked. Cooling and host-reserved addresses do not count, and neither do
	// those that go with others of their handle.
	NotUsed Kind = "allocated-not-used"

	// HandleEmpty: a handle that holds no address.
	HandleEmpty Kind = "handle-without-addresses"
	// HandleMissing: addresses whose handle does not exist.
	HandleMissing Kind = "handle-missing"
	// HandleCount: a handle that counts more or fewer addresses in a block than
	// it holds there.
	HandleCount Kind = "handle-count"

	// AffinityWithoutBlock: an affinity on a block that does not exist.
	AffinityWithoutBlock Kind = "affinity-without-block"
	// AffinityStale: an affinity on a block that has another owner or none.
	AffinityStale Kind = "affinity-stale"
	// AffinityPending: an affinity that was never confirmed.
	AffinityPending Kind = "affinity-pending"
	// AffinityPendingDeletion: an affinity that was never deleted.
	AffinityPendingDeletion Kind = "affinity-pending-deletion"

	// BlockWithoutAffinity: a block whose owner has no affinity on it.
	BlockWithoutAffinity Kind = "block-without-affinity"
	// BlockWithoutPool: a block that no pool covers.
	BlockWithoutPool Kind = "block-without-pool"
	// BlockOverlap: a block that shares addresses with another.
	BlockOverlap Kind = "block-overlap"
	// BlockSize: a block of another size than its pool's.
	BlockSize Kind = "block-size"
	// BlockContradiction: a block whose queue and allocations disagree, with an
	// attribute that does not exist, or with an ordinal twice or out of range.
	BlockContradiction Kind = "block-contradiction"
)

// kinds has every kind in the order of reports, with its title and its remedy.
var kinds = []struct {
	kind        Kind
	title, mend string
}{
	{Unreadable, "resources that cannot be read", "print them again with kubectl get -o yaml; what was edited by hand must be put right"},
	{Duplicate, "objects given twice", "give each object once: print all kinds with one kubectl get, from one API group"},
	{WillBeTaken, "addresses in use that kube-controllers will give back", "restart the pods before that: new ones get addresses of their own; to gain time, keep kube-controllers from taking any meanwhile, and set leakGracePeriod back in the end (15m0s is the default)"},
	{TwoOwners, "addresses with two owners", "look who uses it now; then restart who has it without being named by its allocation: a new pod gets an address of its own"},
	{NotAllocated, "addresses used but not allocated", "look whether it is still so, for the resources may be of several moments; then restart the pod, or calico-node on the node: it gets an address that is allocated"},
	{OutsidePools, "addresses used outside every pool", "make a pool that covers them, or restart the pods when it suits: new ones get addresses of a pool"},
	{NotUsed, "addresses allocated but used by no pod or node", "release what is left once nobody is found to have it: kube-controllers leaves it"},
	{HandleEmpty, "handles without addresses", "it does no harm; one that is only seconds old may be that of a request under way, so wait and try it first"},
	{HandleMissing, "addresses whose handle does not exist", "nothing need be done: pods keep such addresses, and kube-controllers gives them back once the pods are gone"},
	{HandleCount, "handles that count differently", "nothing need be done: a surplus does no harm; where a handle counts too little, kube-controllers gives back what a release by it leaves"},
	{AffinityWithoutBlock, "affinities without a block", "nothing need be done: the node makes the block when it next needs an address"},
	{AffinityStale, "affinities on a block that is not their owner's", "nothing need be done: the node deletes it when it next needs an address"},
	{AffinityPending, "affinities stuck pending", "nothing need be done: the node confirms or deletes it when it next needs an address"},
	{AffinityPendingDeletion, "affinities stuck pendingDeletion", "nothing need be done: the node takes it up again when it next needs an address"},
	{BlockWithoutAffinity, "blocks whose owner has no affinity on them", "create the affinity: without it the node does not count the block as its own, and nobody cleans it up"},
	{BlockWithoutPool, "blocks in no pool", "make the pool again, or restart the pods when it suits: addresses of these blocks are routed but never given out"},
	{BlockOverlap, "blocks that overlap another block", "restart the pods of the smaller block, until it is empty and goes by itself: both hand out the same addresses"},
	{BlockSize, "blocks of another size than their pool's", "restart the pods when it suits, until the block is empty and goes by itself: the pool hands out its addresses a second time"},
	{BlockContradiction, "blocks whose record contradicts itself", "drain the block's node, until the block is empty and goes by itself; it is made again"},
}
