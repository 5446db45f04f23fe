package course

import (
	"slices"
	"strings"
)

// A Field is something that a command prints, a column or a field, or an option of the
// command, and what it means.
type Field struct {
	Word string `json:"word"`
	Says string `json:"says"`
}

// machineFields are those of exercise 1.
var machineFields = []Field{
	{"Name", "The container's name. Kubernetes knows the node by the same name, and docker exec -it NAME bash opens a shell on it."},
	{"Kind/Image", "Above, what containerlab takes it for: k8s-kind is a node of a cluster made by kind. Below, the image that it runs: kindest/node, with the version of Kubernetes."},
	{"State", "What Docker says of the container: running, or exited. Whether the node can take pods is another question, which exercise 3 answers."},
	{"IPv4/6 Address", "The container's addresses on Docker's network, IPv4 above IPv6. Nodes reach each other by them. Docker gives them out, not Calico."},
}

// healthFields are those of exercise 2.
var healthFields = []Field{
	{"NAME", "A part of Calico that its operator looks after: calico is the network itself, apiserver lets kubectl read and change Calico's resources."},
	{"AVAILABLE", "True when all of the part runs and can be used."},
	{"PROGRESSING", "True while the operator installs or changes something, or waits for pods that start. It should become False within minutes."},
	{"DEGRADED", "True when something is wrong that does not mend itself. kubectl describe tigerastatus says what."},
	{"SINCE", "How long AVAILABLE has been what it is. A short time on an old cluster means that something has just changed."},
}

// nodeFields are those of exercise 3.
var nodeFields = []Field{
	{"NAME", "The node's name. Calico computes from it where the node starts to look for a block, and names its claims after it."},
	{"STATUS", "Ready: the node can take pods, for which Calico must run there. NotReady: it cannot. SchedulingDisabled beside it: the node is drained or cordoned, and gets no new pods."},
	{"ROLES", "What the node's labels node-role.kubernetes.io/ROLE name; <none> is a plain worker. A role changes nothing in how addresses are given out."},
	{"AGE", "How long ago the node joined the cluster."},
	{"VERSION", "The version of the node's kubelet, and so of Kubernetes. Calico has a version of its own."},
}

// poolFields are those of exercise 4.
var poolFields = []Field{
	{"GROUPING", "What the line counts: IP Pool is a whole pool. With --show-blocks, a line Block follows for each of its blocks."},
	{"CIDR", "The addresses of the pool, or of the block."},
	{"IPS TOTAL", "How many addresses that is, whether or not they lie in a block yet."},
	{"IPS IN USE", "How many of them somebody holds: a pod, a tunnel or a service. The share is rounded, so 0% need not be none."},
	{reservedColumn, "How many of them an IPReservation keeps back. A pod gets one only if it asks for that very address."},
	{"IPS FREE", "How many are left. That does not say who may have them: they may lie in blocks of other nodes, or in no block yet."},
}

// reservedColumn is printed since v3.33 (docs/calico.md §16).
const reservedColumn = "IPS RESERVED"

// claimFields are those of exercise 5.
var claimFields = []Field{
	{"NAME", "The claim's name: the node's name, then the block's CIDR with a dash for each dot, colon and slash."},
	{"AGE", "How long ago the node made the claim. The block itself is made a moment later."},
}

// objectFields are those of exercise 6. Those of the list and of the objects in it
// that have one name are one field.
var objectFields = []Field{
	{"apiVersion", "Which API an object belongs to, and which version of it: v1 for the list, crd.projectcalico.org/v1 for Calico's objects as Kubernetes stores them."},
	{"items", "The objects of the list, in the order of their names."},
	{"kind", "What an object is: List, or BlockAffinity, which is the claim of a node on a block."},
	{"metadata.creationTimestamp", "When the claim was first written, in UTC."},
	{"metadata.name", "The claim's name, as in exercise 5: two nodes that want one block write two claims, but only one of them can make the block."},
	{"metadata.resourceVersion", "Empty: a list has no version. Each object on a real cluster has one. It changes with every write, and whoever writes on top of an older one is refused."},
	{"spec.cidr", "The block: its first address and its size. A /26 has 64 addresses."},
	{"spec.deleted", `"false" in every object that you will see. Before Calico deletes a claim it writes "true" for a moment, so that nobody who has read the older one goes on with it. It is text, hence the quotes.`},
	{"spec.node", "The node that claims the block."},
	{"spec.state", "pending: announced, and the block may not exist yet. confirmed: the block is the node's, and gets a route. pendingDeletion: the node is giving it up."},
	{"spec.type", "Not printed here, because older releases lack it. Since v3.30, host is a node's claim, and virtual that of a load balancer."},
}

// columnFields are those of exercise 7.
var columnFields = []Field{
	{"-o custom-columns", "What to print: HEADING:PATH for each column. A path leads to a field of the object, as exercise 6 prints it. Jsonpath takes such paths too: -o jsonpath='{.items[*].spec.cidr}' prints the values in one line, without headings."},
	{"NAME", "The claim's name, .metadata.name."},
	{"NODE", "Whose claim it is, .spec.node."},
	{"CIDR", "On which block, .spec.cidr. A node with many pods has several lines, one for each block; a node without a line has no block: nothing there has asked for an address, or it borrows."},
}

// explain tells what the fields mean that were just printed.
func (l *lab) explainFields(fields []Field) {
	fields = slices.Clone(fields)
	for _, i := range l.Items {
		if i.Kind == Prints && !strings.Contains(i.Text, reservedColumn) {
			fields = slices.DeleteFunc(fields, func(f Field) bool { return f.Word == reservedColumn })
		}
	}
	l.Items = append(l.Items, Item{Kind: Explains, Fields: fields})
}
