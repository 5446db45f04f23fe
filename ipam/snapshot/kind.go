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

	// TwoOwners: an address that two use, or that is allocated to one and used by
	// another.
	TwoOwners Kind = "two-owners"
	// NotAllocated: an address of a pool that is used but not allocated. It may be
	// handed out again.
	NotAllocated Kind = "used-not-allocated"
	// OutsidePools: an address that a pod or tunnel uses and that is in no pool.
	OutsidePools Kind = "used-outside-pools"
	// NotUsed: an address that is allocated, but that no pod and no node uses. It
	// has leaked. Cooling and host-reserved addresses do not count.
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
	{TwoOwners, "addresses with two owners", "delete the pod that came later; its controller makes one with an address of its own"},
	{NotAllocated, "addresses used but not allocated", "delete the pod, or restart calico-node on the node: it gets an address that is allocated"},
	{OutsidePools, "addresses used outside every pool", "make a pool that covers them, or delete the pods: new ones get addresses of a pool"},
	{NotUsed, "addresses allocated but used by no pod or node", "calicoctl ipam release --ip=ADDRESS, once nothing answers there; kube-controllers releases those of pods after its grace period"},
	{HandleEmpty, "handles without addresses", "kubectl delete ipamhandle NAME; it does no harm meanwhile"},
	{HandleMissing, "addresses whose handle does not exist", "calicoctl ipam release --ip=ADDRESS: a release by handle, as the CNI plug-in does it, cannot find them"},
	{HandleCount, "handles that count differently", "a surplus does no harm and stays until the handle is deleted; a handle that counts too little goes too early, so delete its pod"},
	{AffinityWithoutBlock, "affinities without a block", "the node makes the block when it next needs an address; where the node is gone, kubectl delete blockaffinity NAME"},
	{AffinityStale, "affinities on a block that is not their owner's", "the node deletes it when it next needs an address; where the node is gone, kubectl delete blockaffinity NAME"},
	{AffinityPending, "affinities stuck pending", "the node confirms or deletes it when it next needs an address; where the node is gone, kubectl delete blockaffinity NAME"},
	{AffinityPendingDeletion, "affinities stuck pendingDeletion", "the node takes it up again when it next needs an address; where the node is gone, kubectl delete blockaffinity NAME"},
	{BlockWithoutAffinity, "blocks whose owner has no affinity on them", "the node does not count it as its own: release what is in it and it is taken up again, or create the BlockAffinity"},
	{BlockWithoutPool, "blocks in no pool", "make the pool again, or move the pods away: addresses of these blocks are routed but never given out"},
	{BlockOverlap, "blocks that overlap another block", "move the pods of the smaller block away, then delete it: both hand out the same addresses"},
	{BlockSize, "blocks of another size than their pool's", "move the pods away, so that the block goes: the pool hands out its addresses a second time"},
	{BlockContradiction, "blocks whose record contradicts itself", "move the pods of the block away, release its affinity, and let it be made again"},
}
