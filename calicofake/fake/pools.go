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

// pull makes the cluster's pools those of the accessor.
func (f *Fake) pull() error {
	var pools []v3.IPPool
	if f.options.Pools != nil {
		var err error
		if pools, err = f.options.Pools.GetAllPools(); err != nil {
			return err
		}
	}
	specs := make(map[string]pool.Spec, len(pools))
	for i := range pools {
		s, err := specOf(&pools[i])
		if err != nil {
			return err
		}
		specs[s.Name] = s
	}
	for _, s := range f.cluster.Pools() {
		if want, ok := specs[s.Name]; ok && reflect.DeepEqual(s, want) {
			delete(specs, s.Name) // it is there
		} else if !ok || want.CIDR != s.CIDR || want.BlockSize != s.BlockSize {
			f.cluster.DeletePool(s.Name)
		}
	}
	for i := range pools {
		if s, ok := specs[pools[i].Name]; ok {
			if err := f.cluster.PutPool(s); err != nil {
				return err
			}
		}
	}
	return nil
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

// pullReservations makes the cluster's reservations those of the accessor. Entries
// that are none are skipped.
func (f *Fake) pullReservations(ctx context.Context) error {
	if f.options.Reservations == nil {
		return nil
	}
	list, err := f.options.Reservations.List(ctx, options.ListOptions{})
	if err != nil {
		return err
	}
	var entries []string
	for i := range list.Items {
		entries = append(entries, list.Items[i].Spec.ReservedCIDRs...)
	}
	f.cluster.SetReservations(entries)
	return nil
}
