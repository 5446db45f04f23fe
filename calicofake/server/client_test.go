package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	libapiv3 "github.com/projectcalico/calico/libcalico-go/lib/apis/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	"github.com/shoenig/test/must"
	"github.com/shoenig/test/wait"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ipamsim/ipamsim/calicofake/fake"
	"github.com/ipamsim/ipamsim/calicofake/server"
)

var ctx = context.Background()

// key is the key of an object without a namespace: they all are.
func key(name string) client.ObjectKey { return client.ObjectKey{Name: name} }

// started returns a server of a fake with a node.
func started(t testing.TB, o fake.Options) (*fake.Fake, *server.Server) {
	t.Helper()
	f := fake.New(o)
	must.NoError(t, f.SetNode("node-1", nil))
	s, err := server.New(f)
	must.NoError(t, err)
	t.Cleanup(s.Close)
	return f, s
}

func schemeOf(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	must.NoError(t, fake.AddToScheme(scheme))
	return scheme
}

// clientOf returns controller-runtime's client.
func clientOf(t testing.TB, config *rest.Config) client.WithWatch {
	t.Helper()
	c, err := client.NewWithWatch(config, client.Options{Scheme: schemeOf(t)})
	must.NoError(t, err)
	return c
}

func pool(name, cidr string) *v3.IPPool { p := fake.Pool(name, cidr); return &p }

func assign(f *fake.Fake, handle string, n int) ([]string, error) {
	v4, _, err := f.IPAM().AutoAssign(ctx, ipam.AutoAssignArgs{
		Num4: n, Hostname: "node-1", HandleID: &handle, IntendedUse: v3.IPPoolAllowedUseWorkload,
	})
	if err != nil {
		return nil, err
	}
	var ips []string
	for _, ip := range v4.IPs {
		ips = append(ips, ip.IP.String())
	}
	return ips, v4.PartialFulfillmentError()
}

// TestControllerRuntime: what its client writes the allocator sees, and the other way
// round.
func TestControllerRuntime(t *testing.T) {
	f, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	_, err := assign(f, "a", 1)
	must.ErrorContains(t, err, "cannot find a qualified ippool")

	blue := pool("blue", "10.0.0.0/28")
	blue.Spec.BlockSize = 30
	must.NoError(t, c.Create(ctx, blue))
	must.NotEq(t, "", blue.UID)
	must.NotEq(t, "", blue.ResourceVersion)
	must.Eq(t, 1, blue.Generation)
	must.EqOp(t, fake.Start, blue.CreationTimestamp.UTC())
	must.True(t, kerrors.IsAlreadyExists(c.Create(ctx, pool("blue", "10.9.0.0/28"))))

	ips, err := assign(f, "a", 1)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.8"}, ips)
	var b libapiv3.IPAMBlock
	must.NoError(t, c.Get(ctx, key("10-0-0-8-30"), &b))
	must.Eq(t, "host:node-1", *b.Spec.Affinity)
	must.Eq(t, []int{1, 2, 3}, b.Spec.Unallocated)
	must.Eq(t, "a", *b.Spec.Attributes[*b.Spec.Allocations[0]].AttrPrimary)

	b.Spec.Unallocated = []int{3, 1, 2}
	must.NoError(t, c.Update(ctx, &b))
	must.Eq(t, 3, b.Generation) // created, assigned from, updated
	ips, err = assign(f, "b", 1)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.11"}, ips)

	var handles libapiv3.IPAMHandleList
	must.NoError(t, c.List(ctx, &handles))
	must.Len(t, 2, handles.Items)
	must.Eq(t, map[string]int{"10.0.0.8/30": 1}, handles.Items[1].Spec.Block)

	config := &libapiv3.IPAMConfig{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: libapiv3.IPAMConfigSpec{StrictAffinity: true, MaxBlocksPerHost: 1}}
	must.NoError(t, c.Create(ctx, config))
	_, err = assign(f, "c", 3)
	must.ErrorContains(t, err, "cannot allocate new block due to per host block limit")

	reserved := &v3.IPReservation{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: v3.IPReservationSpec{ReservedCIDRs: []string{"10.0.0.9"}}}
	must.NoError(t, c.Create(ctx, reserved))
	must.NoError(t, f.IPAM().ReleaseByHandle(ctx, "c"))
	ips, err = assign(f, "d", 1)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.10"}, ips)

	must.NoError(t, c.Delete(ctx, blue))
	must.True(t, kerrors.IsNotFound(c.Delete(ctx, blue)))
	_, err = assign(f, "e", 1)
	must.ErrorContains(t, err, "cannot find a qualified ippool")
	must.NoError(t, c.DeleteAllOf(ctx, new(libapiv3.IPAMHandle)))
	_, err = f.IPAM().IPsByHandle(ctx, "a")
	must.ErrorContains(t, err, "does not exist")
}

// TestMetadata: labels, annotations, owners and finalizers stay with an object that
// the allocator writes; a patch changes nothing but what it names.
func TestMetadata(t *testing.T) {
	f, s := started(t, fake.Options{Pools: fake.Pools(*pool("blue", "10.0.0.0/24"))})
	c := clientOf(t, s.Config())
	_, err := assign(f, "a", 1)
	must.NoError(t, err)
	var h libapiv3.IPAMHandle
	must.NoError(t, c.Get(ctx, key("a"), &h))
	before := h.DeepCopy()
	h.Labels, h.Finalizers = map[string]string{"app": "web"}, []string{"example.org/hold"}
	must.NoError(t, c.Patch(ctx, &h, client.MergeFrom(before)))
	must.Eq(t, before.Generation, h.Generation, must.Sprint("the spec is as it was"))
	must.NotEq(t, before.ResourceVersion, h.ResourceVersion)
	same := h.ResourceVersion
	must.NoError(t, c.Update(ctx, &h))
	must.Eq(t, same, h.ResourceVersion, must.Sprint("an update without a change is no write"))

	_, err = assign(f, "a", 1)
	must.NoError(t, err)
	var list libapiv3.IPAMHandleList
	must.NoError(t, c.List(ctx, &list, client.MatchingLabels{"app": "web"}))
	must.Len(t, 1, list.Items)
	must.Eq(t, before.UID, list.Items[0].UID)
	must.Eq(t, map[string]int{"10.0.0.128/26": 2}, list.Items[0].Spec.Block)
	must.NoError(t, c.List(ctx, &list, client.MatchingLabels{"app": "db"}))
	must.SliceEmpty(t, list.Items, must.Sprint(list.Items))

	must.NoError(t, c.Delete(ctx, &h))
	must.NoError(t, c.Get(ctx, key("a"), &h), must.Sprint("the finalizer holds it"))
	must.NotNil(t, h.DeletionTimestamp)
	h.Finalizers = nil
	must.NoError(t, c.Update(ctx, &h))
	must.True(t, kerrors.IsNotFound(c.Get(ctx, key("a"), &h)))

	partial := &metav1.PartialObjectMetadata{}
	partial.SetGroupVersionKind(fake.Kinds()[1].GroupVersionKind)
	must.NoError(t, c.Get(ctx, key("10-0-0-128-26"), partial))
	must.NotEq(t, "", partial.UID)
}

// TestNodes: a client that sends protobuf, as controller-runtime's does for nodes if
// nobody tells it otherwise, and the status of a node.
func TestNodes(t *testing.T) {
	f, s := started(t, fake.Options{Pools: fake.Pools(*pool("blue", "10.0.0.0/24"))})
	c := clientOf(t, &rest.Config{Host: s.URL(), QPS: -1})
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2", Labels: map[string]string{"zone": "a"}}}
	n.Spec.PodCIDR = "10.1.0.0/24"
	must.NoError(t, c.Create(ctx, n))
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}
	must.NoError(t, c.Status().Update(ctx, n))
	before := n.DeepCopy()
	n.Labels["zone"] = "b"
	must.NoError(t, c.Patch(ctx, n, client.StrategicMergeFrom(before)))

	must.NoError(t, f.SetNode("node-2", map[string]string{"zone": "c"}))
	must.NoError(t, c.Get(ctx, key("node-2"), n))
	must.Eq(t, map[string]string{"zone": "c"}, n.Labels)
	must.Eq(t, "10.1.0.0/24", n.Spec.PodCIDR)
	must.Eq(t, "192.0.2.1", n.Status.Addresses[0].Address)
	must.NoError(t, c.Delete(ctx, n, client.Preconditions{UID: &n.UID, ResourceVersion: &n.ResourceVersion}))
	must.False(t, f.DeleteNode("node-2"))
}

// loses lets two clients write one object. It returns what went wrong if one of them
// overwrites the other without a conflict.
func loses(t *testing.T, config *rest.Config) error {
	c := clientOf(t, config)
	if err := c.Create(ctx, pool("blue", "10.0.0.0/24")); err != nil {
		return err
	}
	var first, second v3.IPPool
	if err := errors.Join(c.Get(ctx, key("blue"), &first), c.Get(ctx, key("blue"), &second)); err != nil {
		return err
	}
	first.Spec.Disabled, second.Spec.NATOutgoing = true, true
	if err := c.Update(ctx, &first); err != nil {
		return err
	}
	if err := c.Update(ctx, &second); !kerrors.IsConflict(err) {
		return fmt.Errorf("no conflict: %w", err)
	}
	old := second.ResourceVersion
	err := c.Delete(ctx, &second, client.Preconditions{ResourceVersion: &old})
	if !kerrors.IsConflict(err) {
		return fmt.Errorf("no conflict of the deletion: %w", err)
	}
	return nil
}

func TestConflict(t *testing.T) {
	_, s := started(t, fake.Options{})
	must.NoError(t, loses(t, s.Config()))
}

// TestConflictIsCaught: the same on a server that pays no attention to revisions.
func TestConflictIsCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("a broken variant")
	}
	for method, of := range map[string]string{http.MethodPut: "metadata", http.MethodDelete: "preconditions"} {
		h := withoutRevisions(server.Handler(fake.New(fake.Options{})), method, of)
		s, err := server.Start(h)
		must.NoError(t, err)
		must.ErrorContains(t, loses(t, s.Config()), "no conflict")
		s.Close()
	}
}

// TestCache: controller-runtime's cache follows the allocator, with and without specs.
func TestCache(t *testing.T) {
	f, s := started(t, fake.Options{Pools: fake.Pools(*pool("blue", "10.0.0.0/24"))})
	c, err := cache.New(s.Config(), cache.Options{Scheme: schemeOf(t)})
	must.NoError(t, err)
	until, cancel := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- c.Start(until) }()
	defer func() { cancel(); must.NoError(t, <-stopped) }()

	_, err = assign(f, "a", 1)
	must.NoError(t, err)
	eventually := func(what string, ok func() bool) {
		must.Wait(t, wait.InitialSuccess(wait.BoolFunc(ok),
			wait.Timeout(20*time.Second), wait.Gap(5*time.Millisecond)), must.Sprint(what))
	}
	var handles libapiv3.IPAMHandleList
	eventually("a handle of before", func() bool { return c.List(ctx, &handles) == nil && len(handles.Items) == 1 })
	_, err = assign(f, "b", 3)
	must.NoError(t, err)
	eventually("a new handle", func() bool { return c.List(ctx, &handles) == nil && len(handles.Items) == 2 })
	must.NoError(t, f.IPAM().ReleaseByHandle(ctx, "a"))
	eventually("a handle deleted", func() bool { return kerrors.IsNotFound(c.Get(ctx, key("a"), &libapiv3.IPAMHandle{})) })

	var b libapiv3.IPAMBlock
	must.NoError(t, c.Get(ctx, key("10-0-0-128-26"), &b))
	_, err = assign(f, "b", 60)
	must.NoError(t, err)
	eventually("the block", func() bool { return c.Get(ctx, key("10-0-0-128-26"), &b) == nil && len(b.Spec.Unallocated) == 1 })
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(fake.Kinds()[0].GroupVersionKind)
	must.NoError(t, c.Get(ctx, key("node-1-10-0-0-128-26"), meta))
}
