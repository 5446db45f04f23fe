package program

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// play runs a program of that many operations on an allocator. It passes each
// outcome to see.
func play(t testing.TB, w *World, seed uint64, steps int, see func(op *trace.Op, out *trace.Out, e trace.Engine)) {
	t.Helper()
	p := New(w, property.Seeded(seed))
	player, err := trace.NewPlayer(p.Header())
	must.NoError(t, err, must.Sprintf("%s: seed %d", w.Name, seed))
	for range steps {
		op := p.Next()
		out, err := player.Do(op)
		must.NoError(t, err, must.Sprintf("%s: seed %d", w.Name, seed))
		p.Learn(&op, &out)
		see(&op, &out, player.Engine())
	}
}

// TestCoverage: programs do every operation, and each is refused for every reason
// that one client alone can meet.
func TestCoverage(t *testing.T) {
	property.Slow(t) // plays every world
	var c Coverage
	for _, w := range Worlds {
		for seed := range uint64(50) {
			play(t, w, seed, 120, func(op *trace.Op, out *trace.Out, _ trace.Engine) { c.Add(op, out) })
		}
	}
	must.SliceEmpty(t, c.Missing())
	must.Eq(t, len(Worlds)*50*120, c.Total())
	t.Logf("\n%s", &c)

	// The test notices a generator that reaches too little.
	must.SliceContains(t, new(Coverage).Missing(), "AssignIP max-alloc")
	delete(c.outcomes, "AssignIP max-alloc")
	must.Eq(t, []string{"AssignIP max-alloc"}, c.Missing())
}

// TestCoverageIsWhole: the wanted outcomes have every code, and every operation
// that a recording can hold.
func TestCoverageIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../ipam/codes/codes.go")
	must.NoError(t, err)
	var codes []string
	for _, m := range regexp.MustCompile(` Code = "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
		codes = append(codes, m[1])
	}
	must.Len(t, 32, codes)
	reached := make(map[string]bool)
	for _, outcomes := range wanted {
		for _, o := range outcomes {
			reached[strings.TrimSpace(o)] = true
		}
	}
	codes = slices.DeleteFunc(codes, func(code string) bool { return reached[code] })
	must.Eq(t, []string{"block-claim-conflict", "partial", "conflict", "unknown"}, codes, must.Sprint("conflicts only in a race; the others are no outcomes"))

	text, err = os.ReadFile("../../ipam/trace/play.go")
	must.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\t"([A-Z]\w+)": *(overseen)?`).FindAllStringSubmatch(string(text), -1) {
		if m[2] != "" {
			continue // the cleaning controller's, which works on only one of the engines
		}
		must.True(t, slices.ContainsFunc(operations, func(o operation) bool { return o.name == m[1] }), must.Sprint(m[1]))
	}
	for _, o := range operations {
		must.LessEq(t, heaviest, o.weight, must.Sprint(o.name))
	}
	for _, w := range Worlds {
		for name, weight := range w.Weights {
			must.LessEq(t, heaviest, weight, must.Sprint(w.Name))
			must.True(t, slices.ContainsFunc(operations, func(o operation) bool { return o.name == name }), must.Sprint(name))
		}
	}
	for name := range wanted {
		must.True(t, slices.ContainsFunc(operations, func(o operation) bool { return o.name == name }), must.Sprint(name))
	}
}

// TestSituations: programs reach the states that rules are about.
func TestSituations(t *testing.T) {
	property.Slow(t) // plays every world
	seen := make(map[string]int)
	for _, w := range Worlds {
		if w.Name == "large" {
			continue // it reaches nothing that the others do not
		}
		for seed := range uint64(20) {
			var before ipam.State
			play(t, w, seed, 100, func(op *trace.Op, out *trace.Out, e trace.Engine) {
				after := e.State()
				situations(op, out, &before, &after, func(what string) { seen[what]++ })
				before = after
			})
		}
	}
	t.Log(seen)
	for _, what := range []string{
		"borrowed", "borrowed from nobody", "reclaimed", "recovered", "stale claim given up", "two claims on a block",
		"owner without a claim", "pendingDeletion", "nobody's block", "handle counts too many", "shared record", "alternate owner", "cooling", "host-reserved",
		"overlapping blocks", "claim under a namesake",
	} {
		must.Positive(t, seen[what], must.Sprint(what))
	}
}

// situations names what is special about an operation and the states before and
// after it.
func situations(op *trace.Op, out *trace.Out, before, after *ipam.State, tell func(string)) {
	claims := func(s *ipam.State, cidr string, o affinity.Owner) affinity.State {
		for _, a := range s.Affinities {
			if a.CIDR.String() == cidr && (o.IsZero() || a.Owner == o) {
				return a.State
			}
		}
		return affinity.None
	}
	owners := make(map[string]affinity.Owner)
	for _, b := range before.Blocks {
		owners[b.CIDR.String()] = b.Owner
	}
	asks := op.Op == "AutoAssign" || op.Op == "EnsureBlock"
	host := affinity.HostOwner(op.In.Host)
	held := make(map[string]int)
	claimed := make(map[string]bool)
	for _, a := range after.Affinities {
		if claimed[a.CIDR.String()] {
			tell("two claims on a block")
		}
		claimed[a.CIDR.String()] = true
		if a.State == affinity.PendingDeletion {
			tell("pendingDeletion")
		}
	}
	for i, b := range after.Blocks {
		for _, other := range after.Blocks[:i] {
			if b.CIDR.Overlaps(other.CIDR) {
				tell("overlapping blocks")
			}
		}
		namesake := affinity.HostOwner(b.Owner.Name)
		if b.Owner.Type == affinity.Host {
			namesake = affinity.VirtualOwner(b.Owner.Name)
		}
		if !b.Owner.IsZero() && claims(after, b.CIDR.String(), namesake) != affinity.None {
			tell("claim under a namesake")
		}
	}
	for _, b := range after.Blocks {
		cidr := b.CIDR.String()
		was, there := owners[cidr]
		switch {
		case !asks || !there:
		case was != host && b.Owner == host:
			tell("reclaimed")
		case b.Owner == host && claims(before, cidr, host) != affinity.Confirmed && claims(after, cidr, host) == affinity.Confirmed:
			tell("recovered")
		case b.Owner != host && claims(before, cidr, host) != affinity.None && claims(after, cidr, host) == affinity.None:
			tell("stale claim given up")
		}
		for _, ip := range out.IPs4 {
			if _, block := split(ip); block == cidr && b.Owner != host && op.In.Use == "Workload" {
				tell("borrowed")
				if b.Owner.IsZero() {
					tell("borrowed from nobody")
				}
			}
		}
		if b.Owner.IsZero() {
			tell("nobody's block")
		} else if claims(after, cidr, b.Owner) == affinity.None {
			tell("owner without a claim")
		}
		records := make(map[int]bool)
		for _, a := range b.Allocations {
			held[a.Handle]++
			switch {
			case !a.ReleasedAt.IsZero():
				tell("cooling")
			case a.Seq == 0:
				tell("host-reserved")
			case records[a.Record]:
				tell("shared record")
			}
			records[a.Record] = true
			if a.Alternate.Len() > 0 {
				tell("alternate owner")
			}
		}
	}
	for _, h := range after.Handles {
		n := 0
		for _, c := range h.Counts {
			n += c.Count
		}
		if n > held[h.ID] {
			tell("handle counts too many")
		}
	}
}
