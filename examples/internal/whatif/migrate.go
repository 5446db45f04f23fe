package whatif

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// A stage is one step of a procedure on the real cluster.
type stage struct {
	Do       string   `json:"do"`
	Commands []string `json:"commands,omitempty"`
	Early    string   `json:"early,omitempty"`  // what goes wrong if it is done before the one above
	Result   string   `json:"result,omitempty"` // what came of it here
}

// commandName matches names that may stand in a command.
var commandName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// The names of pools that procedures make, behind the name of the pool that is to go.
// [world.progress] knows them again.
const (
	migratedName  = "-new"
	temporaryName = "-temporary"
)

// readMigratePool reads NAME:CIDR[:SIZE], the pool that is to go and the new one.
func readMigratePool(value string) (func(*world, *change) error, error) {
	spec, err := parsePool(value)
	return func(w *world, c *change) error { return w.migratePool(c, spec) }, err
}

// migratePool moves everything out of a pool into a new one: the new one is made, the
// old one disabled, every node's pods and tunnels ask again, those with the fewest
// addresses first, and the old one is deleted once it is empty. The spec has the old
// pool's name.
func (w *world) migratePool(c *change, spec pool.Spec) error {
	old, err := w.poolCalled(spec.Name)
	if err != nil {
		return err
	}
	made := old
	made.Name, made.CIDR, made.Disabled = old.Name+migratedName, spec.CIDR, false
	if spec.BlockSize != 0 {
		made.BlockSize = spec.BlockSize
	}
	if old.CIDR.Addr().Is4() != made.CIDR.Addr().Is4() {
		return fmt.Errorf("%s is of another family than pool %s", made.CIDR, old.Name)
	}
	if err := made.Validate(); err != nil {
		return err
	}
	m, err := w.mover(c, old)
	if err != nil {
		return err
	}
	standing, todo := w.standing(old), procedure(old, made, c.Drain)
	if err := m.make(todo[0], made); err != nil {
		return err
	}
	back, err := m.leave(todo[1:3], old, made, c.Drain)
	if err != nil {
		return err
	}
	for i := range back {
		c.refuse(back[i].Pod.Label(), back[i].Pod.Node, back[i].Why())
	}
	left := m.look(todo[3], old)
	c.say("%s of pool %s, on %s, would move to %s %s, of which %s are used then of %s", plural(standing.total(), "address"), old.Name, plural(len(c.Drain), "node"),
		made.Name, made.CIDR, plural(len(m.t.standing(made).blocks), "block"), poolBlocks(made))
	if len(left) > 0 {
		c.say("pool %s cannot be deleted then: %s stay, for addresses that no pod or tunnel of a node has: %s; -gc before this may help", old.Name, plural(len(left), "block"), listText(left))
		m.done(todo[4], "not done: %s of it would lie in no pool", plural(len(left), "block"))
	} else {
		m.t.a.DeletePool(old.Name)
		m.done(todo[4], "pool %s is gone, and %s left of %s", old.Name, bigPlural(m.t.blocksLeft(made), "block"), made.Name)
	}
	w.adopt(m.t)
	return nil
}

// procedure is how a pool moves in the real cluster, in an order in which nobody is
// refused.
func procedure(old, made pool.Spec, nodes []string) []stage {
	return []stage{
		{Do: fmt.Sprintf("Make pool %s, which has all else of %s, such as its encapsulation: look at %s.yaml before it is applied. New pods may get addresses of either.", made.Name, old.Name, made.Name),
			Commands: []string{copyPool(old, made), "calicoctl create -f " + made.Name + ".yaml"}},
		{Do: fmt.Sprintf("Disable pool %s. Nobody loses an address, and nobody gets one of it any more. Pods whose annotations ask for it must ask for %s.", old.Name, made.Name), Commands: []string{disable(old.Name)}},
		restart(old, nodes),
		{Do: fmt.Sprintf("Look how far it is: no address of %s may be left.", old.CIDR), Commands: []string{"calicoctl ipam show --show-blocks"}},
		{Do: fmt.Sprintf("Delete pool %s.", old.Name), Commands: []string{"calicoctl delete ippool " + old.Name},
			Early: "while pods have addresses of it, those lie in no pool: without its NAT and encapsulation they lose their way"},
	}
}

// copyPool is the command that writes a pool as another one, to a file of its name.
func copyPool(old, made pool.Spec) string {
	return fmt.Sprintf("calicoctl get ippool %s -o yaml | sed -e 's|name: .*|name: %s|' -e 's|cidr: .*|cidr: %s|' -e 's|blockSize: .*|blockSize: %d|' -e '/uid:/d' -e '/resourceVersion:/d' -e '/creationTimestamp:/d' > %s.yaml",
		old.Name, made.Name, made.CIDR, made.BlockSize, made.Name)
}

func disable(name string) string {
	return fmt.Sprintf(`calicoctl patch ippool %s -p '{"spec":{"disabled":true}}'`, name)
}

// restart is the stage in which everything leaves a pool that is disabled.
func restart(old pool.Spec, nodes []string) stage {
	return stage{
		Do:       fmt.Sprintf("Restart the pods of %s, a node at a time, those with the fewest addresses first: %s; then calico-node there, for the tunnels.", plural(len(nodes), "node"), listText(nodes)),
		Commands: restartNode("NODE"),
		Early:    fmt.Sprintf("before pool %s is disabled, pods may get addresses of it again", old.Name),
	}
}

// restartNode are the commands that have everything on a node ask for addresses again.
func restartNode(node string) []string {
	drain := "kubectl drain " + node + " --ignore-daemonsets --delete-emptydir-data"
	return []string{drain + " --dry-run=server", drain, "kubectl uncordon " + node, "kubectl delete pod -n calico-system -l k8s-app=calico-node --field-selector spec.nodeName=" + node}
}

// A mover runs a procedure in a copy of the cluster, a stage after the other.
type mover struct {
	t *world // the copy
	c *change
}

// mover begins a procedure that empties a pool.
func (w *world) mover(c *change, old pool.Spec) (*mover, error) {
	if !commandName.MatchString(old.Name) {
		return nil, fmt.Errorf("%q can be no name of a pool in Kubernetes", old.Name)
	}
	c.Drain = w.drainOrder(w.standing(old))
	t, err := w.trial()
	return &mover{t, c}, err
}

// drainOrder returns the nodes that have addresses of a pool, those with the fewest
// first. Nodes that are gone cannot drain.
func (w *world) drainOrder(of standing) []string {
	nodes := w.a.Nodes()
	return slices.DeleteFunc(byCount(of.addresses), func(name string) bool {
		return len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n ipam.Node) bool { return n.Name == name })
	})
}

// done adds a stage with what came of it.
func (m *mover) done(s stage, format string, args ...any) {
	s.Result = fmt.Sprintf(format, args...)
	m.c.Procedure = append(m.c.Procedure, s)
}

// make makes a pool.
func (m *mover) make(s stage, made pool.Spec) error {
	if err := m.t.a.SetPool(made); err != nil {
		return err
	}
	m.done(s, "pool %s %s has room for %s of /%d", made.Name, made.CIDR, bigPlural(poolBlocks(made), "block"), made.BlockSize)
	return nil
}

// refused returns the moves of those who got no address.
func (w *world) refused(moves []snapshot.Move) []snapshot.Move {
	w.asked(moves)
	return slices.DeleteFunc(slices.Clone(moves), func(m snapshot.Move) bool { return m.Err == nil })
}

// leave disables a pool and has everything in it ask again, node by node, which are two
// stages. Whoever asked for this pool asks for the other one. It returns who was refused.
func (m *mover) leave(stages []stage, old, to pool.Spec, order []string) (refused []snapshot.Move, err error) {
	t := m.t
	now, err := t.oneMore()
	if err != nil {
		return nil, err
	}
	if stages[0].Early == "" {
		if stages[0].Early, err = m.early(old, to, now); err != nil {
			return nil, err
		}
	}
	disabled := old
	disabled.Disabled = true
	if err := t.a.SetPool(disabled); err != nil {
		return nil, err
	}
	t.Reroute(old.CIDR, to.CIDR)
	then, err := t.oneMore()
	if err != nil {
		return nil, err
	}
	m.done(stages[0], "one more pod on each node: %s refused that would start before", areText(newlyRefused(now, then)))
	back, err := t.Vacate(old.CIDR, order)
	if err != nil {
		return nil, err
	}
	refused = t.refused(back)
	says := fmt.Sprintf("%s and tunnels of %s came back, %s of %s are used", plural(len(back)-len(refused), "pod"), plural(len(order), "node"), plural(len(t.standing(to).blocks), "block"), to.Name)
	if len(refused) > 0 {
		says += fmt.Sprintf("; %s refused: %s, %s", plural(len(refused), "is", "are"), refused[0].Pod.Label(), refused[0].Why())
	}
	m.done(stages[1], "%s", says)
	return refused, nil
}

// look says which blocks are left of a pool.
func (m *mover) look(s stage, old pool.Spec) (left []string) {
	left = m.t.standing(old).blocks
	if len(left) == 0 {
		m.done(s, "no block of %s is left", old.Name)
	} else {
		m.done(s, "%s of %s left, for addresses that no pod or tunnel of a node has: %s; -gc before this may help", plural(len(left), "block is", "blocks are"), old.Name, listText(left))
	}
	return left
}

// blocksLeft returns how many blocks of a pool nobody has made.
func (w *world) blocksLeft(p pool.Spec) *big.Int {
	left := poolBlocks(p)
	return left.Sub(left, big.NewInt(int64(len(w.standing(p).blocks))))
}

// early says what goes wrong if a pool is disabled before the other one is there: on how
// many nodes one more pod is refused that would start now.
func (m *mover) early(p, other pool.Spec, now map[string]string) (string, error) {
	t, err := m.t.trial()
	if err != nil {
		return "", err
	}
	t.a.DeletePool(other.Name)
	p.Disabled = true
	if err := t.a.SetPool(p); err != nil {
		return "", err
	}
	then, err := t.oneMore()
	return fmt.Sprintf("before pool %s is there, one more pod on each node is refused on %s", other.Name, plural(newlyRefused(now, then), "node")), err
}

// newlyRefused counts the nodes of which one pod more was not refused and is now.
func newlyRefused(before, after map[string]string) (n int) {
	for node, why := range after {
		if why != "" && before[node] == "" {
			n++
		}
	}
	return n
}

// procedure prints the stages.
func (p *printer) procedure(stages []stage) {
	if len(stages) == 0 {
		return
	}
	p.line("\nThe procedure, in this order:\n")
	for i, s := range stages {
		p.text("  ", "%d. %s", i+1, s.Do)
		for _, command := range s.Commands {
			p.line("       %s", command)
		}
		if s.Early != "" {
			p.text("     ", "Too early: %s.", s.Early)
		}
		if s.Result != "" {
			p.text("     ", "Here: %s.", strings.TrimSuffix(s.Result, "."))
		}
	}
}
