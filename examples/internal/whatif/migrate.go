package whatif

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A stage is one step of a procedure on the real cluster.
type stage struct {
	Do       string   `json:"do"`
	Commands []string `json:"commands,omitempty"`
	Early    string   `json:"early,omitempty"` // what goes wrong if it is done before the one above
}

// commandName matches names that may stand in a command.
var commandName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

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
	made.Name, made.CIDR, made.Disabled = old.Name+"-new", spec.CIDR, false
	if spec.BlockSize != 0 {
		made.BlockSize = spec.BlockSize
	}
	if old.CIDR.Addr().Is4() != made.CIDR.Addr().Is4() {
		return fmt.Errorf("%s is of another family than pool %s", made.CIDR, old.Name)
	}
	if err := made.Validate(); err != nil {
		return err
	}
	if !commandName.MatchString(old.Name) {
		return fmt.Errorf("%q can be no name of a pool in Kubernetes", old.Name)
	}
	early, err := w.refusedWithout(old)
	if err != nil {
		return err
	}
	standing := w.standing(old)
	nodes := w.a.Nodes()
	c.Drain = slices.DeleteFunc(byCount(standing.addresses), func(name string) bool { // those that are gone cannot
		return len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n ipam.Node) bool { return n.Name == name })
	})

	t, err := w.trial()
	if err != nil {
		return err
	}
	if err := t.a.SetPool(made); err != nil {
		return err
	}
	disabled := old
	disabled.Disabled = true
	if err := t.a.SetPool(disabled); err != nil {
		return err
	}
	back, err := t.clear(old, c.Drain)
	if err != nil {
		return err
	}
	t.bringBack(c, back)
	left := t.standing(old).blocks
	c.Procedure = procedure(old, made, early, c.Drain)
	c.say("%s of pool %s, on %s, would move to %s %s, of which %s are used then of %s", plural(standing.total(), "address"), old.Name, plural(len(c.Drain), "node"),
		made.Name, made.CIDR, plural(len(t.standing(made).blocks), "block"), poolBlocks(made))
	if len(left) > 0 {
		c.say("pool %s cannot be deleted then: %s stay, for addresses that no pod or tunnel of a node has: %s; -gc before this may help", old.Name, plural(len(left), "block"), listText(left))
	} else {
		t.a.DeletePool(old.Name)
	}
	w.adopt(t)
	return nil
}

// refusedWithout says on how many nodes one more pod would be refused if the pool were
// disabled as things stand, that would start now.
func (w *world) refusedWithout(p pool.Spec) (n int, err error) {
	now, err := w.oneMore()
	if err != nil {
		return 0, err
	}
	t, err := w.trial()
	if err != nil {
		return 0, err
	}
	p.Disabled = true
	if err := t.a.SetPool(p); err != nil {
		return 0, err
	}
	then, err := t.oneMore()
	for node, why := range then {
		if why != "" && now[node] == "" {
			n++
		}
	}
	return n, err
}

// procedure is what to do in the real cluster, in an order in which nobody is refused.
func procedure(old, made pool.Spec, early int, nodes []string) []stage {
	copied := made.Name + ".yaml"
	edit := fmt.Sprintf("calicoctl get ippool %s -o yaml | sed -e 's|name: .*|name: %s|' -e 's|cidr: .*|cidr: %s|' -e 's|blockSize: .*|blockSize: %d|' -e '/uid:/d' -e '/resourceVersion:/d' -e '/creationTimestamp:/d' > %s",
		old.Name, made.Name, made.CIDR, made.BlockSize, copied)
	patch := fmt.Sprintf(`calicoctl patch ippool %s -p '{"spec":{"disabled":true}}'`, old.Name)
	return []stage{
		{Do: fmt.Sprintf("Make pool %s, which has all else of %s, such as its encapsulation: look at %s before it is applied. New pods may get addresses of either.", made.Name, old.Name, copied),
			Commands: []string{edit, "calicoctl create -f " + copied}},
		{Do: fmt.Sprintf("Disable pool %s. Nobody loses an address, and nobody gets one of it any more. Pods whose annotations ask for it must ask for %s.", old.Name, made.Name), Commands: []string{patch},
			Early: fmt.Sprintf("before the new pool is there, one more pod on each node is refused on %s", plural(early, "node"))},
		{Do: fmt.Sprintf("Restart the pods of %s, a node at a time, those with the fewest addresses first: %s; then calico-node there, for the tunnels.", plural(len(nodes), "node"), listText(nodes)),
			Commands: []string{"kubectl drain NODE --ignore-daemonsets --delete-emptydir-data --dry-run=server", "kubectl drain NODE --ignore-daemonsets --delete-emptydir-data", "kubectl uncordon NODE", "kubectl delete pod -n calico-system -l k8s-app=calico-node --field-selector spec.nodeName=NODE"},
			Early:    "before the old pool is disabled, pods may get addresses of it again"},
		{Do: fmt.Sprintf("Look how far it is: no address of %s may be left.", old.CIDR), Commands: []string{"calicoctl ipam show --show-blocks"}},
		{Do: fmt.Sprintf("Delete pool %s.", old.Name), Commands: []string{"calicoctl delete ippool " + old.Name},
			Early: "while pods have addresses of it, those lie in no pool: without its NAT and encapsulation they lose their way"},
	}
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
	}
}
