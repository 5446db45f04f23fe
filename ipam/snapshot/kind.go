package snapshot

// Kind is the kind of a [Finding] or [Problem]. Programs may rely on its text, and
// compare it: r.Count("allocated-not-used"). The first two are about the resources,
// the rest about the cluster that they describe.
//
//   - "unreadable": a text or field that cannot be read.
//   - "duplicate": an object that is given twice.
//   - "used-will-be-released": an address that a pod or tunnel uses, and that
//     kube-controllers will give back all the same.
//   - "two-owners": an address that two use, or that is allocated to one and used by
//     another.
//   - "used-not-allocated": an address of a pool that is used but not allocated. It
//     may be handed out again.
//   - "used-outside-pools": an address that a pod or tunnel uses and that is in no
//     pool.
//   - "pod-annotation": an annotation of a pod that the CNI plug-in refuses. The pod
//     will not start again.
//   - "floating-address-allocated": a floating address of a pod that IPAM has
//     given to another.
//   - "allocated-not-used": an address that is allocated, but that no pod and no
//     node uses. It has leaked. Cooling and host-reserved addresses do not count,
//     and neither do those that go with others of their handle.
//   - "handle-without-addresses": a handle that holds no address.
//   - "handle-missing": addresses whose handle does not exist.
//   - "handle-count": a handle that counts more or fewer addresses in a block than
//     it holds there.
//   - "affinity-without-block": an affinity on a block that does not exist.
//   - "affinity-stale": an affinity on a block that has another owner or none.
//   - "affinity-pending": an affinity that was never confirmed.
//   - "affinity-pending-deletion": an affinity that was never deleted.
//   - "block-without-affinity": a block whose owner has no affinity on it.
//   - "block-without-pool": a block that no pool covers.
//   - "block-overlap": a block that shares addresses with another.
//   - "block-size": a block of another size than its pool's.
//   - "block-contradiction": a block whose queue and allocations disagree, with an
//     attribute that does not exist, or with an ordinal twice or out of range.
type Kind string

// The kinds, as [Kind] explains them.
const (
	kindUnreadable Kind = "unreadable"
	kindDuplicate  Kind = "duplicate"

	kindWillBeTaken  Kind = "used-will-be-released"
	kindTwoOwners    Kind = "two-owners"
	kindNotAllocated Kind = "used-not-allocated"
	kindOutsidePools Kind = "used-outside-pools"
	kindNotUsed      Kind = "allocated-not-used"
	kindAnnotation   Kind = "pod-annotation"
	kindFloating     Kind = "floating-address-allocated"

	kindHandleEmpty   Kind = "handle-without-addresses"
	kindHandleMissing Kind = "handle-missing"
	kindHandleCount   Kind = "handle-count"

	kindAffinityWithoutBlock    Kind = "affinity-without-block"
	kindAffinityStale           Kind = "affinity-stale"
	kindAffinityPending         Kind = "affinity-pending"
	kindAffinityPendingDeletion Kind = "affinity-pending-deletion"

	kindBlockWithoutAffinity Kind = "block-without-affinity"
	kindBlockWithoutPool     Kind = "block-without-pool"
	kindBlockOverlap         Kind = "block-overlap"
	kindBlockSize            Kind = "block-size"
	kindBlockContradiction   Kind = "block-contradiction"
)

// kinds has every kind in the order of reports, with its title and its remedy.
var kinds = []struct {
	kind        Kind
	title, mend string
}{
	{kindUnreadable, "resources that cannot be read", "print them again with kubectl get -o yaml; what was edited by hand must be put right"},
	{kindDuplicate, "objects given twice", "give each object once: print all kinds with one kubectl get, from one API group"},
	{kindWillBeTaken, "addresses in use that kube-controllers will give back", "restart the pods before that: new ones get addresses of their own; to gain time, keep kube-controllers from taking any meanwhile, and set leakGracePeriod back in the end (15m0s is the default)"},
	{kindTwoOwners, "addresses with two owners", "look who uses it now; then restart who has it without being named by its allocation: a new pod gets an address of its own"},
	{kindNotAllocated, "addresses used but not allocated", "look whether it is still so, for the resources may be of several moments; then restart the pod, or calico-node on the node: it gets an address that is allocated"},
	{kindOutsidePools, "addresses used outside every pool", "make a pool that covers them, or restart the pods when it suits: new ones get addresses of a pool"},
	{kindAnnotation, "annotations of pods that the CNI plug-in refuses", "correct them where the pod is made, such as in its Deployment: the pod that runs keeps its addresses, and the next one does not start"},
	{kindFloating, "floating addresses that are allocated to another", "give the pod a floating address that no pool has, or reserve the address (IPReservation) and restart who has it: what is sent there reaches only one of the two"},
	{kindNotUsed, "addresses allocated but used by no pod or node", "release what is left once nobody is found to have it: kube-controllers leaves it"},
	{kindHandleEmpty, "handles without addresses", "it does no harm; one that is only seconds old may be that of a request under way, so wait and try it first"},
	{kindHandleMissing, "addresses whose handle does not exist", "nothing need be done: pods keep such addresses, and kube-controllers gives them back once the pods are gone"},
	{kindHandleCount, "handles that count differently", "nothing need be done: a surplus does no harm; where a handle counts too little, kube-controllers gives back what a release by it leaves"},
	{kindAffinityWithoutBlock, "affinities without a block", "nothing need be done: the node makes the block when it next needs an address"},
	{kindAffinityStale, "affinities on a block that is not their owner's", "nothing need be done: the node deletes it when it next needs an address"},
	{kindAffinityPending, "affinities stuck pending", "nothing need be done: the node confirms or deletes it when it next needs an address"},
	{kindAffinityPendingDeletion, "affinities stuck pendingDeletion", "nothing need be done: the node takes it up again when it next needs an address"},
	{kindBlockWithoutAffinity, "blocks whose owner has no affinity on them", "create the affinity: without it the node does not count the block as its own, and nobody cleans it up"},
	{kindBlockWithoutPool, "blocks in no pool", "make the pool again, or restart the pods when it suits: addresses of these blocks are routed but never given out"},
	{kindBlockOverlap, "blocks that overlap another block", "restart the pods of the smaller block, until it is empty and goes by itself: both hand out the same addresses"},
	{kindBlockSize, "blocks of another size than their pool's", "restart the pods when it suits, until the block is empty and goes by itself: the pool hands out its addresses a second time"},
	{kindBlockContradiction, "blocks whose record contradicts itself", "drain the block's node, until the block is empty and goes by itself; it is made again"},
}
