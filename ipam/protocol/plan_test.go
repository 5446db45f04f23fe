package protocol

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// manyCalls is the number of calls from which a scenario is for long runs only.
const manyCalls = 95_000

// TestPlan runs the scenarios of the recordings and compares the outcome of every
// request and its number of calls to the datastore. Scenarios with the most calls
// are for IPAMSIM_LONG=1.
func TestPlan(t *testing.T) {
	most := manyCalls
	switch {
	case property.Long():
		most = math.MaxInt
	case testing.Short():
		most = 20_000
	}
	f, err := os.Open("../../testdata/plan.jsonl")
	must.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	scenarios := 0
	for ; lines.Scan(); scenarios++ {
		var s sim.Scenario
		var want sim.Result
		var ops struct{ DatastoreOps int }
		for _, into := range []any{&s, &want, &ops} {
			must.NoError(t, json.Unmarshal(lines.Bytes(), into))
		}
		if ops.DatastoreOps > most {
			continue
		}
		cluster := NewCluster()
		got, err := sim.Run(s, sim.Options{Engine: func(now func() time.Time) sim.Engine { return cluster.Client(nil, now) }})
		must.NoError(t, err)
		must.Eq(t, want.Totals, got.Totals, must.Sprintf("%s /%d", s.Name, s.BlockSize))
		must.Eq(t, Counts{Calls: ops.DatastoreOps}, cluster.Store().Counts(), must.Sprintf("%s /%d", s.Name, s.BlockSize))
	}
	must.NoError(t, lines.Err())
	must.Eq(t, 12, scenarios)
}
