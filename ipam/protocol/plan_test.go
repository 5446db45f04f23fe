package protocol

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	scenarios := 0
	for ; lines.Scan(); scenarios++ {
		var s sim.Scenario
		var want sim.Result
		var ops struct{ DatastoreOps int }
		for _, into := range []any{&s, &want, &ops} {
			require.NoError(t, json.Unmarshal(lines.Bytes(), into))
		}
		if ops.DatastoreOps > most {
			continue
		}
		cluster := NewCluster()
		got, err := sim.Run(s, sim.Options{Engine: func(now func() time.Time) sim.Engine { return cluster.Client(nil, now) }})
		require.NoError(t, err)
		require.Equal(t, want.Totals, got.Totals, "%s /%d", s.Name, s.BlockSize)
		require.Equal(t, Counts{Calls: ops.DatastoreOps}, cluster.Store().Counts(), "%s /%d", s.Name, s.BlockSize)
	}
	require.NoError(t, lines.Err())
	require.Equal(t, 12, scenarios)
}
