package example

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

func TestController(t *testing.T) {
	ctx := context.Background()
	pool := fake.Pool("services", "10.0.0.0/29")
	pool.Spec.BlockSize = 30 // two blocks of four
	f := fake.New(fake.Options{Pools: fake.Pools(pool)})
	require.NoError(t, f.SetNode("node-1", nil))
	c := &Controller{IPAM: f.IPAM(), Node: "node-1"}

	web := &Service{Name: "web"}
	require.NoError(t, c.Reconcile(ctx, web))
	require.Equal(t, "10.0.0.0", web.Has) // the address that a cluster gives, too
	db := &Service{Name: "db", Wants: web.Has}
	require.ErrorContains(t, c.Reconcile(ctx, db), "resource already exists: 10.0.0.0")

	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		require.NoError(t, c.Reconcile(ctx, &Service{Name: name}))
	}
	full := c.Reconcile(ctx, &Service{Name: "late"})
	require.ErrorContains(t, full, "Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10.0.0.0/29]")

	down := errors.New("the API server is down")
	f.Before(func(context.Context, string, ...any) error { return down })
	web.Deleted = true
	require.ErrorIs(t, c.Reconcile(ctx, web), down) // the address stays with it
	f.Before(nil)
	require.NoError(t, c.Reconcile(ctx, web))
	require.NoError(t, c.Reconcile(ctx, web), "deleting twice is harmless")
	require.NoError(t, c.Reconcile(ctx, db)) // now the address is free
}
