package protocol

import (
	"reflect"
	"slices"
	"testing"

	"github.com/ipamsim/ipamsim/internal/program"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// elsewhere are the rules that no engine asks for, and so cannot differ in: those of
// what prints, which is the same code for both, and of the cleaning controller.
var elsewhere = []string{
	"GoPrettyTables", "ReservedColumn", "BorrowedVMIs", "OwnersOfIP",
	"ScansDirtyNodes", "ReleasesAnyEmpty", "UseForgetsEmpty", "EvictedLoseAddresses", "ReleasesLeaksAtOnce", "RetriesWithBackoff", "CleansNodeByNode",
	"DeletedBlockForgets", "JudgesMachines", "RenewsGivenOut", "CollectsCold", "RepeatsForLeaks", "RepeatsForNodes",
}

// worldOf is the world whose programs reach a rule, if the first world's do not.
var worldOf = map[string]string{
	"DisabledByAddress":  "off",
	"EnsureByPools6":     "windows",
	"LoadBalancer":       "full", // has no such pool in its setting
	"ReleaseReadsConfig": "windows",
}

// turned makes clients with one rule flipped.
func turned(rule string) makeEngine {
	return func(o ipam.Options) trace.Engine {
		c := clusterOf(o.Calico)
		field := reflect.ValueOf(&c.rules).Elem().FieldByName(rule)
		field.SetBool(!field.Bool())
		return c.Client(nil, o.Now)
	}
}

// TestRulesTurnedRound: the comparison finds clients with any one rule flipped, on
// both sides of the change.
func TestRulesTurnedRound(t *testing.T) {
	rules := reflect.TypeFor[calico.Rules]()
	for i := range rules.NumField() {
		rule := rules.Field(i).Name
		if slices.Contains(elsewhere, rule) {
			continue
		}
		w := program.Worlds[0]
		if name, told := worldOf[rule]; told {
			w = program.Worlds[slices.IndexFunc(program.Worlds, func(w *program.World) bool { return w.Name == name })]
		}
		for _, v := range []calico.Version{calico.V3(28), calico.V3(33)} {
			t.Run(rule+", "+v.String(), func(t *testing.T) {
				alone(t)
				property.Rejects(t, func(src property.Source) error {
					return differIn(program.NewOf(v, w, src), turned(rule), allocator)
				})
			})
		}
	}
}

// differIn returns where two engines differ in a program of some length.
func differIn(prog *program.Program, ref, other makeEngine) error {
	p, err := newPair(prog.Header(), ref, other)
	if err != nil {
		return nil // refused by one of them, and so nothing to play
	}
	for range 100 {
		op := prog.Next()
		out, err := p.do(op)
		if err == nil {
			err = p.same()
		}
		if err != nil {
			return err
		}
		prog.Learn(&op, &out)
	}
	return nil
}
