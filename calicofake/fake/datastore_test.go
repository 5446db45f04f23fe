package fake_test

import (
	"context"
	"testing"
	"time"

	libapiv3 "github.com/projectcalico/calico/libcalico-go/lib/apis/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/api"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"
	"github.com/stretchr/testify/require"
	kerrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

var blockKey = model.BlockKey{CIDR: cnet.MustParseNetwork("10.0.0.8/30")}

// used returns a fake in which node-1 has one address, 10.0.0.8, of handle a.
func used(t *testing.T) *fake.Fake {
	t.Helper()
	f := small(t)
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	require.NoError(t, err)
	return f
}

// TestDatastoreShowsWhatTheAllocatorDid: and the other way round.
func TestDatastoreShowsWhatTheAllocatorDid(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	kv, err := d.Get(ctx, blockKey, "")
	require.NoError(t, err)
	b := kv.Value.(*model.AllocationBlock)
	require.Equal(t, "node-1", b.Host())
	require.Equal(t, []int{1, 2, 3}, b.Unallocated)
	require.Equal(t, "a", *b.Attributes[*b.Allocations[0]].AttrPrimary)

	b.Unallocated = []int{3, 2, 1} // what a test edits, the allocator sees
	_, err = d.Update(ctx, kv)
	require.NoError(t, err)
	v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	require.NoError(t, err)
	require.Equal(t, "10.0.0.11", v4.IPs[0].IP.String())

	h, err := d.Get(ctx, model.IPAMHandleKey{HandleID: "a"}, "")
	require.NoError(t, err)
	require.Equal(t, map[string]int{"10.0.0.8/30": 2}, h.Value.(*model.IPAMHandle).Block)

	_, err = d.Apply(ctx, &model.KVPair{Key: model.IPAMConfigKey{}, Value: &model.IPAMConfig{StrictAffinity: true, MaxBlocksPerHost: 1}})
	require.NoError(t, err)
	config, err := f.IPAM().GetIPAMConfig(ctx)
	require.NoError(t, err)
	require.Equal(t, ipam.IPAMConfig{StrictAffinity: true, MaxBlocksPerHost: 1}, *config)

	node := libapiv3.NewNode()
	node.Name, node.Labels = "node-3", map[string]string{"zone": "a"}
	_, err = d.Create(ctx, &model.KVPair{Key: model.ResourceKey{Kind: libapiv3.KindNode, Name: "node-3"}, Value: node})
	require.NoError(t, err)
	require.True(t, f.DeleteNode("node-3"))
}

// TestCompareAndSwap: every write gives a revision, and one that is not the
// object's is a conflict.
func TestCompareAndSwap(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	kv, err := d.Get(ctx, blockKey, "")
	require.NoError(t, err)
	old := kv.Revision
	kv, err = d.Update(ctx, kv)
	require.NoError(t, err)
	require.NotEqual(t, old, kv.Revision)

	kv.Revision = old
	_, err = d.Update(ctx, kv)
	require.ErrorAs(t, err, &cerrors.ErrorResourceUpdateConflict{})
	_, err = d.DeleteKVP(ctx, kv)
	require.ErrorAs(t, err, &cerrors.ErrorResourceUpdateConflict{})
	_, err = d.Create(ctx, kv)
	require.ErrorAs(t, err, &cerrors.ErrorResourceAlreadyExists{})
	kv.Revision = ""
	_, err = d.Update(ctx, kv)
	require.NoError(t, err, "without a revision, whatever it is")
	_, err = d.DeleteKVP(ctx, kv)
	require.NoError(t, err)
	_, err = d.Update(ctx, kv)
	require.EqualError(t, err, `resource does not exist: BlockKey(cidr=10.0.0.8/30) with error: ipamblocks.crd.projectcalico.org "10-0-0-8-30" not found`)
	_, err = d.Get(ctx, blockKey, "")
	require.ErrorAs(t, err, &cerrors.ErrorResourceDoesNotExist{})
	_, err = d.Delete(ctx, blockKey, "")
	require.ErrorAs(t, err, &cerrors.ErrorResourceDoesNotExist{})
}

// TestDatastoreRefuses: an object that no allocator could read is refused, and so is
// a kind that IPAM does not have.
func TestDatastoreRefuses(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	for what, edit := range map[string]func(*model.AllocationBlock){
		"too short":              func(b *model.AllocationBlock) { b.Allocations = b.Allocations[1:] },
		"no such attribute":      func(b *model.AllocationBlock) { b.Attributes = nil },
		"free and taken":         func(b *model.AllocationBlock) { b.Unallocated = append(b.Unallocated, 0) },
		"beyond the block":       func(b *model.AllocationBlock) { b.Unallocated = append(b.Unallocated, 4) },
		"an odd owner":           func(b *model.AllocationBlock) { odd := "node-1"; b.Affinity = &odd },
		"a number of no ordinal": func(b *model.AllocationBlock) { b.SequenceNumberForAllocation["x"] = 1 },
	} {
		kv, err := d.Get(ctx, blockKey, "")
		require.NoError(t, err)
		edit(kv.Value.(*model.AllocationBlock))
		_, err = d.Update(ctx, kv)
		require.ErrorAs(t, err, &cerrors.ErrorValidation{}, what)
	}
	_, err := d.Apply(ctx, &model.KVPair{Key: blockKey, Value: &model.IPAMHandle{}})
	require.ErrorAs(t, err, &cerrors.ErrorValidation{})
	affinity := model.BlockAffinityKey{CIDR: blockKey.CIDR, Host: "node-1"}
	_, err = d.Apply(ctx, &model.KVPair{Key: affinity, Value: &model.BlockAffinity{State: "odd"}})
	require.ErrorAs(t, err, &cerrors.ErrorValidation{})
	_, err = d.Get(ctx, model.ResourceKey{Kind: "IPPool", Name: "small"}, "")
	require.ErrorAs(t, err, &cerrors.ErrorOperationNotSupported{})
	_, err = d.List(ctx, model.ResourceListOptions{Kind: "IPPool"}, "")
	require.ErrorAs(t, err, &cerrors.ErrorOperationNotSupported{})
}

func TestDatastoreLists(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-2", "b", 1))
	require.NoError(t, err)
	for _, c := range []struct {
		list model.ListInterface
		want int
	}{
		{model.BlockListOptions{}, 2},
		{model.BlockListOptions{IPVersion: 4}, 2},
		{model.BlockListOptions{IPVersion: 6}, 0},
		{model.BlockAffinityListOptions{}, 2},
		{model.BlockAffinityListOptions{Host: "node-2", IPVersion: 4}, 1},
		{model.BlockAffinityListOptions{Host: "node-3"}, 0},
		{model.IPAMHandleListOptions{}, 2},
	} {
		list, err := d.List(ctx, c.list, "")
		require.NoError(t, err)
		require.Len(t, list.KVPairs, c.want, "%#v", c.list)
	}
	require.NoError(t, d.EnsureInitialized())
	require.NoError(t, d.Clean())
	list, err := d.List(ctx, model.BlockListOptions{}, "")
	require.NoError(t, err)
	require.Empty(t, list.KVPairs)
	require.NoError(t, d.Close())
}

// next returns the next event of a watch.
func next(t *testing.T, w api.WatchInterface) api.WatchEvent {
	t.Helper()
	select {
	case e := <-w.ResultChan():
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
		return api.WatchEvent{}
	}
}

// TestWatch: what is there, then every change, the allocator's and the test's.
func TestWatch(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	w, err := d.Watch(ctx, model.IPAMHandleListOptions{}, api.WatchOptions{})
	require.NoError(t, err)
	e := next(t, w)
	require.Equal(t, api.WatchAdded, e.Type)
	require.Equal(t, model.IPAMHandleKey{HandleID: "a"}, e.New.Key)

	_, _, err = f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	require.NoError(t, err)
	e = next(t, w)
	require.Equal(t, api.WatchModified, e.Type)
	require.Equal(t, 1, e.Old.Value.(*model.IPAMHandle).Block["10.0.0.8/30"])
	require.Equal(t, 2, e.New.Value.(*model.IPAMHandle).Block["10.0.0.8/30"])

	require.NoError(t, f.IPAM().ReleaseByHandle(ctx, "a"))
	e = next(t, w)
	require.Equal(t, api.WatchDeleted, e.Type)
	require.Nil(t, e.New)
	w.Stop()
	w.Stop()
	for range w.ResultChan() {
		t.Fatal("an event after the end")
	}
	require.True(t, w.HasTerminated())
}

// TestWatchFromARevision: the changes since a list.
func TestWatchFromARevision(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	list, err := d.List(ctx, model.BlockAffinityListOptions{}, "")
	require.NoError(t, err)
	_, _, err = f.IPAM().ClaimAffinity(ctx, cnet.MustParseNetwork("10.0.0.0/30"), "node-2")
	require.NoError(t, err)
	until, cancel := context.WithCancel(ctx)
	w, err := d.Watch(until, model.BlockAffinityListOptions{Host: "node-2"}, api.WatchOptions{Revision: list.Revision})
	require.NoError(t, err)
	e := next(t, w)
	require.Equal(t, api.WatchAdded, e.Type)
	require.Equal(t, model.StatePending, e.New.Value.(*model.BlockAffinity).State)
	e = next(t, w)
	require.Equal(t, model.StateConfirmed, e.New.Value.(*model.BlockAffinity).State)
	cancel()
	for range w.ResultChan() {
		t.Fatal("an event after the end")
	}
	_, err = d.Watch(ctx, model.BlockListOptions{}, api.WatchOptions{Revision: "odd"})
	require.True(t, kerrors.IsResourceExpired(err))
	_, err = d.Watch(ctx, model.ResourceListOptions{}, api.WatchOptions{})
	require.ErrorAs(t, err, &cerrors.ErrorOperationNotSupported{})
}
