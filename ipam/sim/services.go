package sim

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// servicesOwner is the virtual owner of all blocks of services (§3), as kube-controllers
// call it.
const servicesOwner = "load-balancer"

// ofServices is what [Result].PerPool calls services.
const ofServices = "services"

// forServices reports whether the pool's addresses are for services: no node has any.
func (p *Pool) forServices() bool { return slices.Contains(p.AllowedUses, pool.LoadBalancer) }

// serve asks for the addresses of the services. All blocks are of one owner, so what one
// of them is refused the others are refused too.
func (r *runner) serve() {
	s := &r.scenario
	if s.Services == 0 {
		return
	}
	r.result.ServiceRequests = make(map[Outcome]int)
	for i := range s.Services {
		name := "service-" + strconv.Itoa(i)
		r.args = ipam.AutoAssignArgs{
			Host: servicesOwner, Use: pool.LoadBalancer,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNamespace: defaultNamespace, "service": name, ipam.AttrType: "loadbalancer"}),
		}
		if !r.anonymous {
			r.args.Handle = r.handle("lb-", name)
		}
		outcome := own
		if ip, err := r.assignAny(); ip.IsValid() {
			r.serviceHolds(ip)
		} else {
			outcome = cmp.Or(reasonOf(err), refusedPoolEmpty)
		}
		r.result.ServiceRequests[outcome]++
	}
}

// serviceHolds takes note of the address of a service.
func (r *runner) serviceHolds(ip netip.Addr) {
	of := r.spaceOf(ip)
	of.inUse++
	if of.by != nil {
		of.by[len(of.by)-1]++
	}
}

// servicesOf returns how many services a family has, whose pools these are: all where it
// has a pool for them, or where the other has none either.
func (s *Scenario) servicesOf(other *Scenario) int {
	has := func(s *Scenario) bool {
		return slices.ContainsFunc(s.allPools(), func(p Pool) bool { return p.forServices() })
	}
	if has(s) || !has(other) {
		return s.Services
	}
	return 0
}

// ServicesRefused returns how many services got no address.
func (r *Result) ServicesRefused() (n int) {
	for o, of := range r.ServiceRequests {
		if o != own {
			n += of
		}
	}
	return n
}

// services looks at the services. The pools were looked at.
func (v *validator) services() {
	s := v.Scenario
	switch {
	case s.Services < 0 || s.Services > maxRequests:
		v.bad("services", "%d: must be 0 to %d", s.Services, maxRequests)
	case s.Services > 0 && !slices.ContainsFunc(s.pools(), func(p Pool) bool { return p.forServices() }):
		v.bad("services", "%d: no pool is for them: add one with allowedUses: [LoadBalancer]", s.Services)
	default:
		v.asked += int64(s.Services)
	}
}
