package example

import (
	"context"
	"errors"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

func TestController(t *testing.T) {
	ctx := context.Background()
	pool := fake.Pool("services", "10.0.0.0/29")
	pool.Spec.BlockSize = 30 // two blocks of four
	f := fake.New(fake.Options{Pools: fake.Pools(pool)})
	must.NoError(t, f.SetNode("node-1", nil))
	c := &Controller{IPAM: f.IPAM(), Node: "node-1"}

	web := &Service{Name: "web"}
	must.NoError(t, c.Reconcile(ctx, web))
	must.Eq(t, "10.0.0.0", web.Has) // the address that a cluster gives, too
	db := &Service{Name: "db", Wants: web.Has}
	must.ErrorContains(t, c.Reconcile(ctx, db), "resource already exists: 10.0.0.0")

	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		must.NoError(t, c.Reconcile(ctx, &Service{Name: name}))
	}
	full := c.Reconcile(ctx, &Service{Name: "late"})
	must.ErrorContains(t, full, "Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10.0.0.0/29]")

	down := errors.New("the API server is down")
	f.Before(func(context.Context, string, ...any) error { return down })
	web.Deleted = true
	must.ErrorIs(t, c.Reconcile(ctx, web), down) // the address stays with it
	f.Before(nil)
	must.NoError(t, c.Reconcile(ctx, web))
	must.NoError(t, c.Reconcile(ctx, web), must.Sprint("deleting twice is harmless"))
	must.NoError(t, c.Reconcile(ctx, db)) // now the address is free
}
