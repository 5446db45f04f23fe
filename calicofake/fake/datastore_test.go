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
	"github.com/shoenig/test/must"
	kerrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

var blockKey = model.BlockKey{CIDR: cnet.MustParseNetwork("10.0.0.8/30")}

// used returns a fake in which node-1 has one address, 10.0.0.8, of handle a.
func used(t *testing.T) *fake.Fake {
	t.Helper()
	f := small(t)
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	return f
}

// TestDatastoreShowsWhatTheAllocatorDid: and the other way round.
func TestDatastoreShowsWhatTheAllocatorDid(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	kv, err := d.Get(ctx, blockKey, "")
	must.NoError(t, err)
	b := kv.Value.(*model.AllocationBlock)
	must.Eq(t, "node-1", b.Host())
	must.Eq(t, []int{1, 2, 3}, b.Unallocated)
	must.Eq(t, "a", *b.Attributes[*b.Allocations[0]].AttrPrimary)

	b.Unallocated = []int{3, 2, 1} // what a test edits, the allocator sees
	_, err = d.Update(ctx, kv)
	must.NoError(t, err)
	v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	must.Eq(t, "10.0.0.11", v4.IPs[0].IP.String())

	h, err := d.Get(ctx, model.IPAMHandleKey{HandleID: "a"}, "")
	must.NoError(t, err)
	must.Eq(t, map[string]int{"10.0.0.8/30": 2}, h.Value.(*model.IPAMHandle).Block)

	_, err = d.Apply(ctx, &model.KVPair{Key: model.IPAMConfigKey{}, Value: &model.IPAMConfig{StrictAffinity: true, MaxBlocksPerHost: 1}})
	must.NoError(t, err)
	config, err := f.IPAM().GetIPAMConfig(ctx)
	must.NoError(t, err)
	must.Eq(t, ipam.IPAMConfig{StrictAffinity: true, MaxBlocksPerHost: 1}, *config)

	node := libapiv3.NewNode()
	node.Name, node.Labels = "node-3", map[string]string{"zone": "a"}
	_, err = d.Create(ctx, &model.KVPair{Key: model.ResourceKey{Kind: libapiv3.KindNode, Name: "node-3"}, Value: node})
	must.NoError(t, err)
	must.True(t, f.DeleteNode("node-3"))
}

// TestCompareAndSwap: every write gives a revision, and one that is not the
// object's is a conflict.
func TestCompareAndSwap(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	kv, err := d.Get(ctx, blockKey, "")
	must.NoError(t, err)
	old := kv.Revision
	kv, err = d.Update(ctx, kv)
	must.NoError(t, err)
	must.NotEq(t, old, kv.Revision)

	kv.Revision = old
	_, err = d.Update(ctx, kv)
	must.ErrorAs[cerrors.ErrorResourceUpdateConflict](t, err, &cerrors.ErrorResourceUpdateConflict{})
	_, err = d.DeleteKVP(ctx, kv)
	must.ErrorAs[cerrors.ErrorResourceUpdateConflict](t, err, &cerrors.ErrorResourceUpdateConflict{})
	_, err = d.Create(ctx, kv)
	must.ErrorAs[cerrors.ErrorResourceAlreadyExists](t, err, &cerrors.ErrorResourceAlreadyExists{})
	kv.Revision = ""
	_, err = d.Update(ctx, kv)
	must.NoError(t, err, must.Sprint("without a revision, whatever it is"))
	_, err = d.DeleteKVP(ctx, kv)
	must.NoError(t, err)
	_, err = d.Update(ctx, kv)
	must.EqError(t, err, `resource does not exist: BlockKey(cidr=10.0.0.8/30) with error: ipamblocks.crd.projectcalico.org "10-0-0-8-30" not found`)
	_, err = d.Get(ctx, blockKey, "")
	must.ErrorAs[cerrors.ErrorResourceDoesNotExist](t, err, &cerrors.ErrorResourceDoesNotExist{})
	_, err = d.Delete(ctx, blockKey, "")
	must.ErrorAs[cerrors.ErrorResourceDoesNotExist](t, err, &cerrors.ErrorResourceDoesNotExist{})
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
		must.NoError(t, err)
		edit(kv.Value.(*model.AllocationBlock))
		_, err = d.Update(ctx, kv)
		must.ErrorAs[cerrors.ErrorValidation](t, err, &cerrors.ErrorValidation{}, must.Sprint(what))
	}
	_, err := d.Apply(ctx, &model.KVPair{Key: blockKey, Value: &model.IPAMHandle{}})
	must.ErrorAs[cerrors.ErrorValidation](t, err, &cerrors.ErrorValidation{})
	affinity := model.BlockAffinityKey{CIDR: blockKey.CIDR, Host: "node-1"}
	_, err = d.Apply(ctx, &model.KVPair{Key: affinity, Value: &model.BlockAffinity{State: "odd"}})
	must.ErrorAs[cerrors.ErrorValidation](t, err, &cerrors.ErrorValidation{})
	_, err = d.Get(ctx, model.ResourceKey{Kind: "IPPool", Name: "small"}, "")
	must.ErrorAs[cerrors.ErrorOperationNotSupported](t, err, &cerrors.ErrorOperationNotSupported{})
	_, err = d.List(ctx, model.ResourceListOptions{Kind: "IPPool"}, "")
	must.ErrorAs[cerrors.ErrorOperationNotSupported](t, err, &cerrors.ErrorOperationNotSupported{})
}

func TestDatastoreLists(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-2", "b", 1))
	must.NoError(t, err)
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
		must.NoError(t, err)
		must.Len(t, c.want, list.KVPairs, must.Sprintf("%#v", c.list))
	}
	must.NoError(t, d.EnsureInitialized())
	must.NoError(t, d.Clean())
	list, err := d.List(ctx, model.BlockListOptions{}, "")
	must.NoError(t, err)
	must.SliceEmpty(t, list.KVPairs, must.Sprint(list.KVPairs))
	must.NoError(t, d.Close())
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
	must.NoError(t, err)
	e := next(t, w)
	must.Eq(t, api.WatchAdded, e.Type)
	must.Eq[model.Key](t, model.IPAMHandleKey{HandleID: "a"}, e.New.Key)

	_, _, err = f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	e = next(t, w)
	must.Eq(t, api.WatchModified, e.Type)
	must.Eq(t, 1, e.Old.Value.(*model.IPAMHandle).Block["10.0.0.8/30"])
	must.Eq(t, 2, e.New.Value.(*model.IPAMHandle).Block["10.0.0.8/30"])

	must.NoError(t, f.IPAM().ReleaseByHandle(ctx, "a"))
	e = next(t, w)
	must.Eq(t, api.WatchDeleted, e.Type)
	must.Nil(t, e.New)
	w.Stop()
	w.Stop()
	for range w.ResultChan() {
		t.Fatal("an event after the end")
	}
	must.True(t, w.HasTerminated())
}

// TestWatchFromARevision: the changes since a list.
func TestWatchFromARevision(t *testing.T) {
	f := used(t)
	d := f.Datastore()
	list, err := d.List(ctx, model.BlockAffinityListOptions{}, "")
	must.NoError(t, err)
	_, _, err = f.IPAM().ClaimAffinity(ctx, cnet.MustParseNetwork("10.0.0.0/30"), "node-2")
	must.NoError(t, err)
	until, cancel := context.WithCancel(ctx)
	w, err := d.Watch(until, model.BlockAffinityListOptions{Host: "node-2"}, api.WatchOptions{Revision: list.Revision})
	must.NoError(t, err)
	e := next(t, w)
	must.Eq(t, api.WatchAdded, e.Type)
	must.Eq(t, model.StatePending, e.New.Value.(*model.BlockAffinity).State)
	e = next(t, w)
	must.Eq(t, model.StateConfirmed, e.New.Value.(*model.BlockAffinity).State)
	cancel()
	for range w.ResultChan() {
		t.Fatal("an event after the end")
	}
	_, err = d.Watch(ctx, model.BlockListOptions{}, api.WatchOptions{Revision: "odd"})
	must.True(t, kerrors.IsResourceExpired(err))
	_, err = d.Watch(ctx, model.ResourceListOptions{}, api.WatchOptions{})
	must.ErrorAs[cerrors.ErrorOperationNotSupported](t, err, &cerrors.ErrorOperationNotSupported{})
}
