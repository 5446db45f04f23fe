package storm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// node is a node at work.
type node struct {
	Node
	process *protocol.Process
	args    ipam.AutoAssignArgs // of every pod, except the handle
	bucket  bucket
	latency time.Duration
	// now is the time of the node's last answer, from the start of the storm.
	now time.Duration

	ips   []netip.Addr    // the addresses of its pods
	limit int             // pods that it was refused an address for as it had all blocks that it may have
	waits []time.Duration // of each of its pods' answers
}

// newNode returns node number i.
func (c *Config) newNode(i int) *node {
	n := &node{Node: Node{Name: nodeName(i)}, bucket: newBucket(c.Rate, c.Burst), latency: c.Latency}
	n.args = ipam.AutoAssignArgs{Host: n.Name, Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: n.Name}), Use: pool.Workload}
	if c.Pool.Addr().Is4() {
		n.args.Num4 = 1
	} else {
		n.args.Num6 = 1
	}
	return n
}

// serve asks for the address of the node's pod number p. Of the error it keeps only
// whether the limit of blocks is the reason: the pod has no address, whatever it is.
func (n *node) serve(client *protocol.Client, p int) {
	n.args.Handle = fmt.Sprintf("k8s-pod-network.%s-%d", n.Name, p)
	v4, v6, err := client.AutoAssign(n.args)
	if errors.Is(err, codes.BlockLimit) {
		n.limit++
	}
	for _, ip := range append(v4.IPs, v6.IPs...) {
		n.ips = append(n.ips, ip.Addr())
	}
	n.waits = append(n.waits, n.now)
}

// call makes the node's next call.
func (n *node) call(at time.Duration, datastore protocol.Access) {
	request, _ := n.process.Request()
	answer := datastore.Do(request)
	n.count(request, answer)
	n.now = at + n.latency
	if request.Verb == protocol.Delete && answer.Result == protocol.OK {
		n.now = n.bucket.take(n.now) + n.latency // the second write of the two
	}
	n.process.Answer(answer)
}

// count adds a call to the node's cost.
func (n *node) count(r protocol.Request, answer protocol.Response) {
	n.Calls++
	if answer.Result == protocol.Conflict {
		n.Conflicts++
		n.Retries++
	}
	if a, ok := r.Object.(*protocol.Affinity); ok && r.Verb == protocol.Delete && a.Owner.Name == n.Name {
		n.Retries++ // the node gives up its claim, as another node has the block
	}
}
