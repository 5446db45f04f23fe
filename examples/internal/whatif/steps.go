package whatif

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A step is one change, ready to be made.
type step struct {
	text string // as it was given
	do   func(*world, *change) error
	node string // that must be there before; "" for none
	adds string // what added nodes are called, with %d for their number; "" for none

	mayBeGone bool // the node, if it has left something

	pool     string // that must be there before; "" for none
	addsPool bool   // a pool, whatever its name
}

// changes is the heading of the flags that are changes.
const changes = "Changes, made in the order given"

// define defines the flags; steps keep their order.
func (o *options) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "file", "f", nil, "what kubectl, calicoctl or etcdctl prints, YAML or JSON, plain or gzip; a folder or tar archive of such; - is standard input. Give it once for each `FILE`")
	flags.BoolVar(&o.check, "check", false, "look for leaks and contradictions, as calicoctl ipam check does")
	flags.BoolVar(&o.lenient, "lenient", false, "take files that are cut off or no resources in part as far as they make sense")
	flags.BoolVar(&o.strict, "strict-input", false, "refuse the files for a single object that is odd; without this it is left out, and said")
	flags.StringArrayVar(&o.then, "f-then", nil, "a later dump of the same cluster: what changed, when blocks run out at this rate, what leaked in both. Give it once for each `FILE`")
	flags.StringVar(&o.explain, "explain", "", "`NAMESPACE/POD`: why it gets the address that it gets, or none: each pool, each block of its node, and what comes next")
	flags.StringVar(&o.node, "explain-node", "", "the same of the next pod on this `NODE`")
	flags.Func("apart", "fail if a pool overlaps this `CIDR`, of another cluster or network; give it once for each", func(value string) error {
		cidr, err := netip.ParsePrefix(value)
		if err != nil {
			return errors.New("must be a CIDR such as 10.0.0.0/8")
		}
		o.apart = append(o.apart, cidr.Masked())
		return nil
	})
	flags.BoolVar(&o.summary, "summary", false, "print one line for each pool: blocks left, nodes without one, room for more nodes")
	flags.IntVar(&o.below, "fail-below", 0, "exit status 1 if any node has fewer than `N` blocks left in the pools that its pods may use")
	flags.BoolVar(&o.metrics, "prometheus", false, "print the same as metrics, under kube-controllers' names where it has them")
	flags.BoolVar(&o.json, "json", false, "print one JSON object")
	flags.StringVarP(&o.out, "output", "o", "", "write what comes of it to this `FILE`, as resources; .json is JSON, .html is a page with the map of the blocks; - writes them to standard output and nothing else")
	flags.Func("gc-grace", "the `SPAN` after which kube-controllers gives back what it misses; without this KubeControllersConfiguration says it, or it is 15m", func(value string) error {
		grace, err := cli.ParseDuration(value)
		if err == nil && grace < 0 {
			err = errors.New("must not be negative; 0s is never")
		}
		o.grace = &grace
		return err
	})
	cli.Calico(cmd, &o.calico, "the `RELEASE` of Calico that the cluster runs, whatever the resources say; without this it is found among them")
	flags.Lookup("calico").DefValue = "" // it is not one release
	cli.Renamed(flags, map[string]string{"max-blocks-per-host": "max-blocks"})

	add := func(name, value string, do func(*world, *change) error) {
		o.steps = append(o.steps, step{text: strings.TrimSpace("-" + name + " " + value), do: do})
	}
	// Steps with a value, read and checked before anything is done.
	with := func(name, usage string, read func(value string) (func(*world, *change) error, error)) {
		flags.Func(name, usage, func(value string) error {
			do, err := read(value)
			if err == nil {
				add(name, value, do)
				last := &o.steps[len(o.steps)-1]
				switch name {
				case "drain", "remove-node":
					last.node, last.mayBeGone = value, name == "remove-node"
				case "add-nodes":
					last.adds = strings.Split(value, ":")[1]
				case "disable-pool":
					last.pool = value
				case "resize-pool", "migrate-pool":
					last.pool, _, _ = strings.Cut(value, ":")
					last.addsPool = true
				case "add-pool":
					last.addsPool = true
				}
			}
			return err
		})
		cli.Group(flags, changes, name)
	}
	flags.BoolFunc("strict", "strict affinity on; -strict=false for off", func(value string) error {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("must be true or false")
		}
		name := "strict"
		if !on {
			name = "strict=false"
		}
		add(name, "", func(w *world, c *change) error { return w.strict(c, on) })
		return nil
	})
	cli.Group(flags, changes, "strict")
	with("max-blocks", "how many blocks a node may have, at most `N`; 0 is Calico's default, 20", func(value string) (func(*world, *change) error, error) {
		n, err := number(value, 0, 1<<20)
		return func(w *world, c *change) error { return w.limit(c, n) }, err
	})
	with("cooldown", "`TIME`: for how long a released address rests, up to 20m", func(value string) (func(*world, *change) error, error) {
		n, err := readCooldown(value)
		return func(w *world, c *change) error { return w.cooldown(c, n) }, err
	})
	with("add-nodes", "`N:NAME[:LABELS]`: N nodes, %d in NAME their number, labels as in k=v,k=v; each starts its tunnels and one pod", readAddNodes)
	with("drain", "`NODE`: its pods move to the nodes with the fewest", func(value string) (func(*world, *change) error, error) {
		return func(w *world, c *change) error { return w.drain(c, value) }, nil
	})
	with("remove-node", "`NODE`: as -drain, then it goes with its blocks; of a node that is gone already, what it left", func(value string) (func(*world, *change) error, error) {
		return func(w *world, c *change) error { return w.removeNode(c, value) }, nil
	})
	with("scale", "every node has `N` pods, neither more nor fewer", func(value string) (func(*world, *change) error, error) {
		n, err := number(value, 0, 10_000)
		return func(w *world, c *change) error { return w.scale(c, n) }, err
	})
	with("disable-pool", "`NAME`: no new addresses from this pool", func(value string) (func(*world, *change) error, error) {
		return func(w *world, c *change) error { return w.disablePool(c, value) }, nil
	})
	with("add-pool", "`NAME:CIDR[:SIZE]`: a pool, with blocks of that prefix length", readAddPool)
	with("migrate-pool", "`NAME:CIDR[:SIZE]`: everything of this pool moves to a new one: the procedure, what goes wrong in another order, and whether it fits", readMigratePool)
	with("resize-pool", "`NAME:SIZE`: the pool with other blocks, by way of a temporary pool: the procedure, what goes wrong in another order, and whether it still fits", func(value string) (func(*world, *change) error, error) {
		name, size, found := cutLast(value)
		if !found {
			return nil, errors.New("must be NAME:SIZE, such as default-ipv4-ippool:28")
		}
		n, err := number(strings.TrimPrefix(size, "/"), 20, 128)
		return func(w *world, c *change) error { return w.resizePool(c, name, n) }, err
	})
	flags.BoolFunc("gc", "give back what nobody uses", func(value string) error {
		if value != "true" {
			return errors.New("takes no value")
		}
		add("gc", "", (*world).collect)
		return nil
	})
	cli.Group(flags, changes, "gc")
}

// readCooldown returns the seconds of a time span. A number without a unit is seconds,
// as it always was here.
func readCooldown(text string) (int, error) {
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	return cli.ParseSeconds(text, ipam.MaxCooldownSeconds)
}

func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("must be a number from %d to %d", low, high)
	}
	return n, nil
}

func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || i == len(text)-1 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// maxNewNodes keeps a slip of the finger from taking all memory.
const maxNewNodes = 100_000

func readAddNodes(value string) (func(*world, *change) error, error) {
	parts := strings.SplitN(value, ":", 3)
	if len(parts) < 2 {
		return nil, errors.New("must be N:NAME[:LABELS], such as 50:node-%d:zone=a")
	}
	n, err := number(parts[0], 1, maxNewNodes)
	if err != nil {
		return nil, err
	}
	format := parts[1]
	if n > 1 && strings.Count(format, "%d") != 1 || strings.Count(format, "%") != strings.Count(format, "%d") || format == "" {
		return nil, fmt.Errorf("%q must hold one %%d, and no other %%", format)
	}
	labels := make(map[string]string)
	if len(parts) == 3 && parts[2] != "" {
		for _, pair := range strings.Split(parts[2], ",") {
			key, value, found := strings.Cut(pair, "=")
			if !found || key == "" {
				return nil, fmt.Errorf("label %q must be KEY=VALUE", pair)
			}
			labels[key] = value
		}
	}
	return func(w *world, c *change) error { return w.addNodes(c, n, format, labels) }, nil
}

func readAddPool(value string) (func(*world, *change) error, error) {
	spec, err := parsePool(value)
	return func(w *world, c *change) error { return w.addPool(c, spec) }, err
}

// parsePool parses NAME:CIDR[:SIZE].
func parsePool(value string) (pool.Spec, error) {
	name, rest, _ := strings.Cut(value, ":")
	spec := pool.Spec{Name: name}
	cidr := rest
	// An IPv6 CIDR has colons of its own; a size stands behind the mask.
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		if mask, size, found := strings.Cut(rest[slash:], ":"); found {
			n, err := number(strings.TrimPrefix(size, "/"), 20, 128)
			if err != nil {
				return spec, fmt.Errorf("block size %q %w", size, err)
			}
			cidr, spec.BlockSize = rest[:slash]+mask, n
		}
	}
	var err error
	if spec.CIDR, err = netip.ParsePrefix(cidr); err != nil {
		return spec, fmt.Errorf("%q is not a CIDR; it must be NAME:CIDR[:SIZE], such as blue:10.1.0.0/16:28", cidr)
	}
	return spec, spec.Validate()
}
