package snapshot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file reads the annotations by which a pod tells the CNI plug-in which addresses
// it wants (§11), and checks those that IPAM does not book.

// The annotations. Each is a list in JSON: of names or CIDRs of pools, or of addresses.
const (
	pools4Annotation   = "cni.projectcalico.org/ipv4pools"
	pools6Annotation   = "cni.projectcalico.org/ipv6pools"
	fixedAnnotation    = "cni.projectcalico.org/ipAddrs"
	outsideAnnotation  = "cni.projectcalico.org/ipAddrsNoIpam"
	floatingAnnotation = "cni.projectcalico.org/floatingIPs"
)

// asks reads the annotations of a pod. What is malformed asks for nothing, and the pod
// does not start again.
func (o *object) asks(p *Pod) {
	annotations := o.annotations()
	faulty := func(key, why string) {
		if p.Faulty == "" {
			p.Faulty = "the annotation " + key + " " + why
		}
		o.report(&Problem{Field: "metadata.annotations." + key, Reason: why, Kind: kindAnnotation, Harmless: true})
	}
	for _, of := range []struct {
		key   string
		pools *[]string
	}{{pools4Annotation, &p.Pools4}, {pools6Annotation, &p.Pools6}} {
		pools, ok := poolNames(annotations[of.key])
		if !ok {
			faulty(of.key, "is "+clip(annotations[of.key])+", which is no list of pools in JSON")
		}
		*of.pools = pools
	}
	for _, of := range []struct {
		key   string
		addrs *[]netip.Addr
		one   bool // of each family, and at least one
	}{{fixedAnnotation, &p.Fixed, true}, {outsideAnnotation, &p.Outside, true}, {floatingAnnotation, &p.Floating, false}} {
		addrs, wrong := addressList(annotations[of.key], of.one)
		if wrong != "" {
			faulty(of.key, wrong)
		}
		*of.addrs = addrs
	}
	if len(p.Fixed) > 0 && len(p.Outside) > 0 {
		faulty(outsideAnnotation, "is given beside "+fixedAnnotation+": a pod may have one of them")
		p.Fixed, p.Outside = nil, nil
	}
}

// poolNames reads a list of pools.
func poolNames(text string) (pools []string, ok bool) {
	if text == "" {
		return nil, true
	}
	if decode([]byte(text), &pools) != nil {
		return nil, false
	}
	return pools, true
}

// addressList reads a list of addresses; with one, of one address of a family, or of
// one of each. It returns what is wrong with it, if anything.
func addressList(text string, one bool) (addrs []netip.Addr, wrong string) {
	if text == "" {
		return nil, ""
	}
	var texts []string
	if decode([]byte(text), &texts) != nil {
		return nil, "is " + clip(text) + `, which is no list of addresses in JSON such as ["10.0.0.5"]`
	}
	var families [2]int
	for _, t := range texts {
		ip, err := netip.ParseAddr(t)
		if err != nil || ip.Zone() != "" {
			return nil, "has " + clip(t) + ", which is not an IP address"
		}
		ip = ip.Unmap()
		addrs = append(addrs, ip)
		families[(ip.BitLen()-32)/96]++
	}
	switch {
	case !one:
	case max(families[0], families[1]) > 1:
		return nil, "has two addresses of one family: " + clip(text)
	case len(addrs) == 0:
		return nil, "is an empty list"
	}
	return addrs, ""
}

// poolsOfNamespaces has pods that ask for no pools ask for those of their namespace.
func (s *Snapshot) poolsOfNamespaces() {
	asks := make(map[string][2][]string)
	for _, n := range s.Namespaces {
		four, _ := poolNames(n.Annotations[pools4Annotation])
		six, _ := poolNames(n.Annotations[pools6Annotation])
		if len(four)+len(six) > 0 {
			asks[n.Name] = [2][]string{four, six}
		}
	}
	for i := range s.Pods {
		p := &s.Pods[i]
		of := asks[p.Namespace]
		if len(p.Pools4) == 0 {
			p.Pools4 = of[0]
		}
		if len(p.Pools6) == 0 {
			p.Pools6 = of[1]
		}
	}
}

// unbooked looks at the addresses that pods have beside IPAM. That they are not
// allocated is as it should be. That another has them is not.
func (c *checker) unbooked() {
	for _, ip := range sortedAddrs(c.floating) {
		b, al := c.held(ip)
		if al == nil || isHostReserved(al) {
			continue
		}
		other, isPods := podOf(al.Active)
		isPods = isPods && c.mayLive(other)
		for _, u := range c.floating[ip] {
			if isPods && !u.isNamedBy(al) {
				c.findAt(kindFloating, ip, []string{u.String(), "Pod " + other, blockObject(b.CIDR)}, "%s has the floating address %s, which is allocated to Pod %s", u, ip, other)
				c.mend("", lookForUser(ip)...)
			}
		}
	}
	var exposed []netip.Addr
	for _, ip := range sortedAddrs(c.outside) {
		objects := userNames(append(slices.Clip(c.outside[ip]), c.users[ip]...))
		b, al := c.held(ip)
		other, isPods := "", false
		if al != nil {
			other, isPods = podOf(al.Active)
		}
		const mend = "look who uses it now; then give the pod that has it without IPAM another in its annotation, which no pool has: IPAM does not know that it has this one"
		switch {
		case len(objects) > 1:
			c.findAt(kindTwoOwners, ip, objects, "%s is used by %s and %s", ip, objects[0], objects[1])
			c.mend(mend, lookForUser(ip)...)
		case isPods && !c.outside[ip][0].isNamedBy(al) && c.mayLive(other):
			c.findAt(kindTwoOwners, ip, append(objects, blockObject(b.CIDR)), "%s has %s without IPAM, which is allocated to Pod %s", objects[0], ip, other)
			c.mend(mend, lookForUser(ip)...)
		case al == nil && c.inPool(ip):
			exposed = append(exposed, ip)
		}
	}
	if n := len(exposed); n > 0 {
		c.note("%s in a pool, which may give %s to another: %s; an IPReservation keeps %[2]s back",
			plural(n, "address that pods have without IPAM lies", "addresses that pods have without IPAM lie"), itThem(n), addressesText(exposed))
	}
}

// held returns the allocation of an address, which is nil where it is free or cools down,
// and its block.
func (c *checker) held(ip netip.Addr) (b *ipam.BlockState, al *block.Allocation) {
	if b = c.blockOf(ip); b != nil {
		al = allocationOf(b, ip)
	}
	if al != nil && !al.ReleasedAt.IsZero() {
		al = nil
	}
	return b, al
}

// mayLive reports whether a pod is among the resources and has not ended, or may be a
// pod that they lack.
func (c *checker) mayLive(name string) bool {
	if p := c.pods[name]; p != nil {
		return !p.Ended
	}
	namespace, _, _ := strings.Cut(name, "/")
	return !c.seesNamespace(namespace)
}

// keeps reports whether a pod has an allocated address as one that IPAM need not book.
// Somebody may have allocated it by hand to keep it from others.
func (c *checker) keeps(ip netip.Addr, al *block.Allocation) bool {
	_, isPods := podOf(al.Active)
	return !isPods && len(c.floating[ip])+len(c.outside[ip]) > 0 ||
		slices.ContainsFunc(c.outside[ip], func(u user) bool { return u.isNamedBy(al) })
}

func itThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
