package fake

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	"github.com/projectcalico/calico/libcalico-go/lib/options"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// Annotations of an IPPool for what the library's version of its spec does not have
// and a newer release does.
const (
	NamespaceSelectorAnnotation = "ipamsim/namespaceSelector"
	AssignmentModeAnnotation    = "ipamsim/assignmentMode" // Automatic or Manual
)

// Pool returns an enabled pool with the fields that the API server fills in: blocks
// of /26 (IPv6: /122), for workloads and tunnels of all nodes.
func Pool(name, cidr string) v3.IPPool {
	p := v3.NewIPPool()
	p.Name, p.Spec.CIDR = name, cidr
	p.Spec.NodeSelector, p.Spec.BlockSize = "all()", pool.DefaultBlockSize4
	if strings.Contains(cidr, ":") {
		p.Spec.BlockSize = pool.DefaultBlockSize6
	}
	p.Spec.AllowedUses = []v3.IPPoolAllowedUse{v3.IPPoolAllowedUseWorkload, v3.IPPoolAllowedUseTunnel}
	return *p
}

// Pools returns an accessor of a list of pools that never changes. To change pools
// during a test, pass [PoolFunc] or an accessor of your own.
func Pools(pools ...v3.IPPool) ipam.PoolAccessorInterface {
	return PoolFunc(func() ([]v3.IPPool, error) { return pools, nil })
}

// PoolFunc is an accessor of what a function returns: all pools, in any order.
type PoolFunc func() ([]v3.IPPool, error)

// GetAllPools returns the pools in the order of their names.
func (f PoolFunc) GetAllPools() ([]v3.IPPool, error) {
	pools, err := f()
	pools = slices.Clone(pools)
	slices.SortStableFunc(pools, func(x, y v3.IPPool) int { return strings.Compare(x.Name, y.Name) })
	return pools, err
}

// GetEnabledPools returns the enabled pools of an IP version, 4 or 6, in the order
// of their names.
func (f PoolFunc) GetEnabledPools(ipVersion int) ([]v3.IPPool, error) {
	pools, err := f.GetAllPools()
	return slices.DeleteFunc(pools, func(p v3.IPPool) bool {
		return p.Spec.Disabled || strings.Contains(p.Spec.CIDR, ":") != (ipVersion == 6)
	}), err
}

// Reservations returns an accessor of one IPReservation with these CIDRs or
// addresses.
func Reservations(cidrs ...string) ipam.IPReservationInterface {
	return ReservationFunc(func() ([]string, error) { return cidrs, nil })
}

// ReservationFunc is an accessor of what a function returns: reserved CIDRs and
// addresses.
type ReservationFunc func() ([]string, error)

// List returns one IPReservation with all of them.
func (f ReservationFunc) List(context.Context, options.ListOptions) (*v3.IPReservationList, error) {
	cidrs, err := f()
	if err != nil {
		return nil, err
	}
	r := v3.NewIPReservation()
	r.Name, r.Spec.ReservedCIDRs = "reserved", cidrs
	return &v3.IPReservationList{Items: []v3.IPReservation{*r}}, nil
}

// pull makes the cluster's pools those of the accessor; without one, those that were
// written as resources.
func (f *Fake) pull(ctx context.Context) error {
	if f.mirrored {
		for i := range kinds {
			if err := f.mirror(ctx, &kinds[i]); err != nil {
				return err
			}
		}
	}
	var pools []v3.IPPool
	if f.options.Pools != nil {
		var err error
		if pools, err = f.accessorPools(); err != nil {
			return err
		}
	} else if !f.poolsChanged {
		return nil
	} else {
		f.poolsChanged = false
		for _, e := range f.entriesOf(poolsResource) {
			pools = append(pools, *e.object.(*stored).value.(*v3.IPPool))
		}
	}
	return setPools(f.cluster, pools)
}

// accessorPools returns the pools of the accessor, which may use the fake.
func (f *Fake) accessorPools() ([]v3.IPPool, error) {
	f.mu.Unlock()
	defer f.mu.Lock()
	return f.options.Pools.GetAllPools()
}

// accessorReservations returns the reservations of the accessor, which may use the
// fake.
func (f *Fake) accessorReservations(ctx context.Context) (*v3.IPReservationList, error) {
	f.mu.Unlock()
	defer f.mu.Lock()
	return f.options.Reservations.List(ctx, options.ListOptions{})
}

// setPools makes these the cluster's pools.
func setPools(cluster *protocol.Cluster, pools []v3.IPPool) error {
	specs := make(map[string]pool.Spec, len(pools))
	for i := range pools {
		s, err := specOf(&pools[i])
		if err != nil {
			return err
		}
		if _, twice := specs[s.Name]; twice {
			return fmt.Errorf("fake: two pools are called %s", s.Name)
		}
		specs[s.Name] = s
	}
	for _, s := range cluster.Pools() {
		if want, ok := specs[s.Name]; ok && reflect.DeepEqual(s, want) {
			delete(specs, s.Name) // it is there
		} else if !ok || want.CIDR != s.CIDR || want.BlockSize != s.BlockSize {
			cluster.DeletePool(s.Name)
		}
	}
	for i := range pools {
		if s, ok := specs[pools[i].Name]; ok {
			if err := cluster.PutPool(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPools returns why a pool cannot be one beside the others that were written as
// resources.
func (f *Fake) checkPools(p *v3.IPPool) error {
	pools := []v3.IPPool{*p}
	for _, e := range f.entriesOf(poolsResource) {
		if other := e.object.(*stored).value.(*v3.IPPool); other.Name != p.Name {
			pools = append(pools, *other)
		}
	}
	scratch := protocol.NewCluster()
	scratch.SetCalico(f.cluster.Calico())
	return setPools(scratch, pools)
}

// mirror makes the pools or reservations of an accessor resources, so that they can be
// read and watched.
func (f *Fake) mirror(ctx context.Context, k *Kind) error {
	var objects []Object
	switch {
	case k.Plural == poolsResource && f.options.Pools != nil:
		pools, err := f.accessorPools()
		if err != nil {
			return err
		}
		for i := range pools {
			objects = append(objects, pools[i].DeepCopy())
		}
	case k.Plural == reservationsResource && f.options.Reservations != nil:
		list, err := f.accessorReservations(ctx)
		if err != nil {
			return err
		}
		for i := range list.Items {
			objects = append(objects, list.Items[i].DeepCopy())
		}
	default:
		return nil
	}
	f.mirrored = true
	names := make(map[string]bool)
	for _, o := range objects {
		names[o.GetName()] = true
		f.mirrorOne(k, o)
	}
	for _, e := range f.entriesOf(k.Plural) {
		if !names[nameOf(e.object)] {
			(&Resources{fake: f}).remove(e)
		}
	}
	return nil
}

// mirrorOne writes an object of an accessor if it is not there as it is.
func (f *Fake) mirrorOne(k *Kind, o Object) {
	meta := writtenMeta(o)
	old := f.entry(k.Plural, o.GetName())
	next := &stored{resource: k.Plural, name: o.GetName(), value: o}
	if old == nil {
		e := f.newEntry(f.put(next), meta)
		f.record(e.object, e)
		return
	}
	if equality.Semantic.DeepEqual(old.object.(*stored).value, o) {
		return
	}
	e := f.next(old, f.put(next))
	e.meta.Labels, e.meta.Annotations, e.meta.Finalizers, e.meta.OwnerReferences = meta.Labels, meta.Annotations, meta.Finalizers, meta.OwnerReferences
	f.record(e.object, e)
}

// specOf returns the pool as ipamsim describes it.
func specOf(p *v3.IPPool) (pool.Spec, error) {
	cidr, err := netip.ParsePrefix(p.Spec.CIDR)
	if err != nil {
		return pool.Spec{}, fmt.Errorf("fake: pool %s: %w", p.Name, err)
	}
	s := pool.Spec{
		Name: p.Name, CIDR: cidr, BlockSize: p.Spec.BlockSize, NodeSelector: p.Spec.NodeSelector, Disabled: p.Spec.Disabled,
	}
	s.NamespaceSelector = p.Annotations[NamespaceSelectorAnnotation]
	s.AssignmentMode = pool.Mode(p.Annotations[AssignmentModeAnnotation])
	for _, use := range p.Spec.AllowedUses {
		s.AllowedUses = append(s.AllowedUses, pool.Use(use))
	}
	return s.WithDefaults(), nil
}

// pullReservations makes the cluster's reservations those of the accessor; without one,
// those that were written as resources. Entries that are none are skipped.
func (f *Fake) pullReservations(ctx context.Context) error {
	var entries []string
	if f.options.Reservations == nil {
		for _, e := range f.entriesOf(reservationsResource) {
			entries = append(entries, e.object.(*stored).value.(*v3.IPReservation).Spec.ReservedCIDRs...)
		}
		f.cluster.SetReservations(entries)
		return nil
	}
	list, err := f.accessorReservations(ctx)
	if err != nil {
		return err
	}
	for i := range list.Items {
		entries = append(entries, list.Items[i].Spec.ReservedCIDRs...)
	}
	f.cluster.SetReservations(entries)
	return nil
}
