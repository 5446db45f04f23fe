package whatif

import (
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestMigratePool: everything moves to the new pool, and the procedure says what goes
// wrong in another order.
func TestMigratePool(t *testing.T) {
	property.Slow(t)
	status, r := ask(t, "-gc", "-migrate-pool", "blue:10.40.0.0/22:28")
	must.Zero(t, status)
	c := r.Steps[1]
	must.Len(t, 5, c.Procedure)
	must.StrContains(t, c.Procedure[0].Commands[0], "-e 's|name: .*|name: blue-new|' -e 's|cidr: .*|cidr: 10.40.0.0/22|' -e 's|blockSize: .*|blockSize: 28|'")
	must.StrContains(t, c.Procedure[1].Early, "one more pod on each node is refused on 27 nodes")
	must.Eq(t, []string{"blue-new", "green", "six"}, []string{c.After.Pools[0].Name, c.After.Pools[1].Name, c.After.Pools[2].Name})
	must.Eq(t, r.Steps[0].After.Pods, c.After.Pods, must.Sprint("all came back"))
	must.Zero(t, c.After.Families[0].Borrowed)

	// What leaked keeps the old pool.
	status, r = ask(t, "-migrate-pool", "blue:10.40.0.0/22")
	must.Zero(t, status)
	must.StrContains(t, r.Steps[0].Says[1], "pool blue cannot be deleted then: ")
	must.Eq(t, "blue", r.Steps[0].After.Pools[0].Name)
	must.True(t, r.Steps[0].After.Pools[0].Disabled)
	must.Eq(t, 28, r.Steps[0].After.Pools[1].BlockSize, must.Sprint("as the old one has it"))

	// A pool that is too small refuses some.
	status, r = ask(t, "-strict", "-migrate-pool", "blue:10.40.0.0/25")
	must.Eq(t, 1, status)
	must.SliceNotEmpty(t, r.Steps[1].Refused)
	for value, want := range map[string]string{
		"red:10.40.0.0/22": "no pool is called", "blue:fd00:40::/112": "is of another family than pool blue", "blue:10.10.0.0/22": "overlaps another pool", "blue": "must be NAME:CIDR",
	} {
		status, _, errs := do("-f", sample, "-migrate-pool", value)
		must.Eq(t, 2, status)
		must.StrContains(t, errs, want)
	}
	_, out, _ := do("-f", sample, "-gc", "-migrate-pool", "blue:10.40.0.0/22:28")
	must.StrContains(t, out, "\nThe procedure, in this order:\n\n  1. Make pool blue-new")
	must.StrContains(t, out, "       calicoctl delete ippool blue\n")
}
