package fake_test

import (
	"context"
	"testing"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

func TestFirstAddress(t *testing.T) {
	f := fake.New(fake.Options{Pools: fake.Pools(fake.Pool("default", "192.168.0.0/16"))})
	must.NoError(t, f.SetNode("worker", nil))
	handle := "pod-1"
	v4, v6, err := f.IPAM().AutoAssign(context.Background(), ipam.AutoAssignArgs{
		Num4: 1, Hostname: "worker", HandleID: &handle, IntendedUse: v3.IPPoolAllowedUseWorkload,
	})
	must.NoError(t, err)
	must.NoError(t, v4.PartialFulfillmentError())
	must.Eq(t, "192.168.171.64/26", v4.IPs[0].String())
	must.Nil(t, v6)
	must.Eq(t, map[string]int{"AutoAssign": 1}, f.Summary())
}
