package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// TestAdviceWithEvents: a change that goes with the scenario but not with its events is
// left out, or shown as what it is; everything else is still said.
func TestAdviceWithEvents(t *testing.T) {
	property.Slow(t)
	for _, c := range []struct {
		name, text string
		status     int
		says, not  []string
	}{
		{
			"pods that are restarted", "name: x\npool: 10.0.0.0/22\nnodes: 21\npodsPerNode: 10\nevents:\n- {at: 1m, do: replace-pods, count: 26}\n", cli.Fine,
			[]string{"Take /27: ", "  yes  a larger pool: 10.0.0.0/21; 21 routes\n", "  no   fewer pods: 2 a node is too many, and the events need as many; 15\n"}, nil,
		},
		{
			"as many pods as are restarted", "name: x\npool: 10.0.0.0/24\nstrictAffinity: true\nblockSize: 28\nnodes: 3\npodsPerNode: 90\nevents:\n- {at: 1m, do: replace-pods, count: 120}\n", cli.No,
			[]string{"  yes  fewer pods: 80 a node; 15 routes\n"}, nil,
		},
		{
			"all pods are restarted", "name: x\npool: 10.0.0.0/24\nblockSize: 28\nnodes: 3\npodsPerNode: 90\nevents:\n- {at: 1m, do: replace-pods, count: 270}\n", cli.No,
			[]string{"  yes  a larger pool: 10.0.0.0/23; 18 routes\n"}, []string{"fewer pods"},
		},
		{
			"a pool that is added", "name: x\npool: 10.0.0.0/24\nnodes: 6\npodsPerNode: 50\nevents:\n- {at: 1m, do: add-pool, pool: {name: more, cidr: 10.0.1.0/24}}\n", cli.No,
			[]string{"No block size fits: ", "  no   a larger pool: 10.0.0.0/23; it would overlap pool more, 10.0.1.0/24\n", "  no   fewer pods: 1 a node is too many; "}, nil,
		},
		{
			"a pool that is added further off", "name: x\npool: 10.0.0.0/24\nblockSize: 26\nnodes: 6\npodsPerNode: 50\nevents:\n- {at: 1m, do: add-pool, pool: {name: more, cidr: 10.0.6.0/24}}\n", cli.No,
			[]string{"  yes  a larger pool: 10.0.0.0/23; 6 routes\n"}, []string{"overlap"},
		},
		{
			"Windows nodes that are added", "name: x\npool: 10.0.0.0/25\nstrictAffinity: true\nnodes: 2\npodsPerNode: 20\nevents:\n- {at: 1m, do: add-nodes, group: {nodes: 3, nodeFormat: w-%d, windows: true}}\n", cli.No,
			[]string{"  yes  a larger pool: 10.0.0.0/23; 5 routes\n", "  no   fewer pods: 1 a node is too many; "}, []string{"strict affinity off"},
		},
		{
			"no more blocks can be run", "name: x\npool: fd00::/64\nblockSize: 122\nnodes: 1\npodsPerNode: 2000\nevents:\n- {at: 1m, do: add-pool, pool: {name: more, cidr: 'fd01::/62', blockSize: 121}}\n- {at: 1m, do: add-pool, pool: {name: most, cidr: 'fd02::/63', blockSize: 121}}\n", cli.No,
			[]string{"  yes  fewer pods: 1,280 a node;"}, []string{"a smaller block", "a larger pool"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := do("-f", file(t, "s.yaml", c.text))
			must.Eq(t, c.status, status, must.Sprintf("%s%s", out, errs))
			for _, text := range c.says {
				must.StrContains(t, out, text)
			}
			for _, text := range c.not {
				must.StrNotContains(t, out, text)
			}
		})
	}
}

// TestSizesWithEvents: of all sizes those are run at which there are not too many blocks,
// with those of pools that events add.
func TestSizesWithEvents(t *testing.T) {
	s := sim.Scenario{
		Pool: netip.MustParsePrefix("fd00::/68"), Group: sim.Group{Nodes: 2},
		Events: []sim.Event{{Do: "add-pool", Pool: &sim.Pool{Name: "more", CIDR: netip.MustParsePrefix("fd01::/68")}}},
	}
	all := sizes(&s)
	must.Eq(t, 127, all[len(all)-1])
	for size := all[0]; size <= 128; size++ {
		err := sized(&s, size).Validate()
		must.Eq(t, slices.Contains(all, size), err == nil, must.Sprintf("/%d: %v", size, err))
	}
	must.Eq(t, "Blocks of /128 were not run: fd00::/68 and the pools that events add have more than 2^60 of them. They can be compared in a part of it, fd00::/69 say", notRun(&s))
	s.Events = nil
	must.Eq(t, "", notRun(&s))
}

// TestAdviceInReport: the report says why a change cannot be run, for it has no numbers.
func TestAdviceInReport(t *testing.T) {
	property.Slow(t)
	const text = "name: x\npool: 10.0.0.0/24\nnodes: 6\npodsPerNode: 50\nevents:\n- {at: 1m, do: add-pool, pool: {name: more, cidr: 10.0.1.0/24}}\n"
	status, out, errs := do("-f", file(t, "s.yaml", text), "-o", "-")
	must.Eq(t, cli.No, status, must.Sprint(errs))
	must.StrContains(t, out, "a larger pool: 10.0.0.0/23 <small>it would overlap pool more, 10.0.1.0/24</small>")
}

// TestAdviceErrors: an error that is not about the changed scenario is one of the run.
func TestAdviceErrors(t *testing.T) {
	other := errors.New("other")
	_, err := validOnly(nil, other)
	must.Eq(t, other, err)
	_, err = upTo(new(change), other)
	must.Eq(t, other, err)
	_, err = validOnly(nil, sim.ErrStopped)
	must.Eq(t, sim.ErrStopped, err)
}

// withEvents makes a small scenario that is valid, at one block size or at all, and is
// likely not to fit.
func withEvents(from property.Source) sim.Scenario {
	pick := from.Pick
	prefix := netip.MustParsePrefix
	s := sim.Scenario{
		Pool:            prefix([]string{"10.0.0.0/28", "10.0.0.32/27", "10.0.0.0/26", "fd00::/124"}[pick("pool", 4)]),
		Group:           sim.Group{Nodes: 1 + pick("nodes", 5), PodsPerNode: pick("pods", 12)},
		TunnelIPPerNode: pick("tunnel", 2) == 1,
		StrictAffinity:  pick("strict", 2) == 1,
	}
	if s.StrictAffinity {
		s.MaxBlocksPerHost = pick("limit", 3)
		s.NoAutoAllocate = pick("claims", 4) == 1
		s.Windows = pick("windows", 6) == 1
	}
	if pick("sized", 2) == 1 {
		s.BlockSize = s.Pool.Bits() + pick("size", 3)
	}
	if pick("service", 4) == 1 {
		s.ServiceCIDR = prefix("10.0.0.128/25")
	}
	if pick("group", 4) == 1 {
		s.Groups = []sim.Group{{Nodes: 1, NodeFormat: "extra-%d", PodsPerNode: 5}}
	}
	if s.For = 0; pick("for", 2) == 1 {
		s.For = sim.Duration(10 * time.Second)
	}
	valid := func(s sim.Scenario) bool {
		e := s
		if e.BlockSize == 0 {
			e.BlockSize = sizes(&e)[0]
		}
		return e.Validate() == nil
	}
	// An event that does not go with what is there already is left out.
	for range pick("events", 5) {
		e := anyEvent(pick)
		if n := len(s.Events); n > 0 {
			e.At += s.Events[n-1].At
		}
		with := s
		if with.Events = append(slices.Clone(s.Events), e); valid(with) {
			s = with
		}
	}
	if !valid(s) {
		panic(fmt.Sprintf("%+v is not valid", s))
	}
	return s
}

// anyEvent makes an event. It may not go with any scenario.
func anyEvent(pick func(string, int) int) sim.Event {
	kinds := []string{
		"replace-pods", "add-pool", "add-nodes", "drain", "undrain", "remove-nodes", "replace-nodes", "interrupt", "upgrade", "scale",
		"start-pod", "stop-pod", "set-labels", "disable-pool", "set-strict-affinity", "set-cooldown", "set-block-limit",
	}
	e := sim.Event{At: sim.Duration(pick("at", 3)) * sim.Duration(time.Second), Do: kinds[pick("kind", len(kinds))]}
	node := []string{fmt.Sprintf("node-%d", pick("node", 4))}
	switch e.Do {
	case "replace-pods":
		e.Count = 1 + pick("count", 40)
	case "replace-nodes", "interrupt", "upgrade":
		e.Count = 1 + pick("count", 4)
		e.Every = sim.Duration(pick("every", 2)) * sim.Duration(time.Second)
	case "add-pool":
		cidrs := []string{"10.0.0.16/28", "10.0.0.64/27", "10.0.1.0/28", "fd00::10/124", "fd00::1:0/123"}
		e.Pool = &sim.Pool{Name: []string{"more", "most"}[pick("name", 2)], CIDR: netip.MustParsePrefix(cidrs[pick("cidr", len(cidrs))])}
		e.Pool.BlockSize = e.Pool.CIDR.Bits() + pick("size", 3)
	case "disable-pool":
		e.Pool = &sim.Pool{Name: []string{"more", "most", "pool"}[pick("name", 3)]}
	case "add-nodes":
		e.Group = &sim.Group{Nodes: 1 + pick("add", 3), NodeFormat: []string{"", "w-%d"}[pick("format", 2)], PodsPerNode: pick("pods", 4), Windows: pick("windows", 2) == 1}
	case "scale":
		e.Pods = pick("scale", 30)
	case "start-pod", "stop-pod":
		if e.Pod = "default/a"; e.Do == "start-pod" {
			e.Nodes = node
		}
	case "set-labels":
		e.Nodes, e.Labels = node, map[string]string{"rack": "a"}
	case "set-strict-affinity":
		e.Strict = pick("strict", 2) == 1
	case "set-cooldown":
		e.Seconds = pick("seconds", 3)
	case "set-block-limit":
		e.Limit = pick("limit", 3)
	default:
		e.Nodes = node
	}
	return e
}

// advised makes the plan of a scenario and reports what is wrong with its advice. It
// returns how many changes there are.
func advised(from property.Source, accept func(*change, error) (*change, error)) (changes int, err error) {
	s := withEvents(from)
	c := newCrew(context.Background(), 1, io.Discard, 0)
	p, err := c.makePlan(&sim.Entry{Scenario: s}, 0, extras{})
	if err != nil {
		return 0, fmt.Errorf("%+v: %w", s, err)
	}
	t := c.trial(p)
	if t == nil {
		return 0, nil
	}
	all, err := t.changes(accept)
	if err != nil {
		return 0, fmt.Errorf("%+v: %w", s, err)
	}
	for _, c := range all {
		if c.What == "" || c.Why == "" || c.Works && c.Result == nil {
			return 0, fmt.Errorf("%+v: %+v", s, c)
		}
	}
	return len(all), nil
}

// TestAdvice: no scenario that is valid fails for what is tried to make it fit.
func TestAdvice(t *testing.T) {
	plans, changes := 0, 0
	property.Check(t, 200, 1, func(rt *rapid.T) {
		n, err := advised(property.Rapid(rt), validOnly)
		must.NoError(rt, err)
		plans, changes = plans+1, changes+n
	})
	if !testing.Short() { // which has few cases
		must.Greater(t, plans, changes, must.Sprint("few of them had to change"))
	}
}

// TestAdviceRejects: where a change may be one that cannot be run, the property fails.
func TestAdviceRejects(t *testing.T) {
	property.Rejects(t, func(s property.Source) error {
		_, err := advised(s, func(c *change, err error) (*change, error) { return c, err })
		return err
	})
}
