package program

import (
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// TestReleases: each release has other rules than its neighbours. All are picked,
// the newest half of the time.
func TestReleases(t *testing.T) {
	all := Releases()
	for i := 1; i < len(all); i++ {
		must.NotEq(t, all[i].Rules(), all[i-1].Rules(), must.Sprint(all[i]))
	}
	picked := make(map[calico.Version]int)
	for seed := range uint64(400) {
		picked[Release(property.Seeded(seed))]++
	}
	must.MapLen(t, len(all), picked)
	must.InDelta(t, 200, float64(picked[0]), 50)
}

// TestProgramsOfReleases: programs for an old release reach as much as those for
// the newest. They rarely ask for what it does not have.
func TestProgramsOfReleases(t *testing.T) {
	property.Slow(t)
	var given, refused []int
	for i, v := range Releases() {
		given, refused = append(given, 0), append(refused, 0)
		for _, w := range Worlds[:5] {
			for seed := range uint64(15) {
				p := NewOf(v, w, property.Seeded(seed))
				player, err := trace.NewPlayer(p.Header())
				must.NoError(t, err, must.Sprintf("%s %s: seed %d", v, w.Name, seed))
				must.Eq(t, v.Rules(), player.Engine().Calico().Rules())
				for range 80 {
					op := p.Next()
					out, err := player.Do(op)
					must.NoError(t, err)
					p.Learn(&op, &out)
					given[i] += len(out.IPs4) + len(out.IPs6)
					if out.Err == "invalid-argument" {
						refused[i]++
					}
				}
			}
		}
	}
	t.Logf("%d operations each: %v addresses given out, %v arguments refused", 5*15*80, given, refused)
	for i, v := range Releases()[2:] { // v3.32 lacks least
		must.Greater(t, given[0]*9/10, given[i+2], must.Sprint(v))
		must.Greater(t, refused[0]*3/2, refused[i+2], must.Sprint(v))
		must.Less(t, refused[0]*5/2, refused[i+2], must.Sprint(v))
	}
}
