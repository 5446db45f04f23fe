package pool_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/pool"
)

// The first block of every minikube cluster: the node is called minikube, and the pool is this one.
func ExamplePool_Start() {
	p, err := pool.New(pool.Spec{Name: "default-ipv4-ippool", CIDR: netip.MustParsePrefix("10.244.0.0/16")})
	if err != nil {
		fmt.Println(err)
		return
	}
	first := p.Start("minikube", time.Time{}) // the clock counts only where blocks are single addresses
	fmt.Println(first, p.BlockAt(first))
	// Output: 481 10.244.120.64/26
}

// From its start a host walks up, and round the end of the pool.
func ExamplePool_Order() {
	p, err := pool.New(pool.Spec{Name: "small", CIDR: netip.MustParsePrefix("10.244.0.0/24")})
	if err != nil {
		fmt.Println(err)
		return
	}
	for block := range p.Order("calico-ipam-worker", time.Time{}) {
		fmt.Println(block)
	}
	// Output:
	// 10.244.0.64/26
	// 10.244.0.128/26
	// 10.244.0.192/26
	// 10.244.0.0/26
}

// Everything that is wrong with a pool is said at once.
func ExampleSpec_Validate() {
	spec := pool.Spec{
		Name:         "lb",
		CIDR:         netip.MustParsePrefix("10.0.0.1/16"),
		BlockSize:    18,
		AllowedUses:  []pool.Use{pool.LoadBalancer},
		NodeSelector: "zone == 'a'",
	}
	fmt.Println(spec.Validate())
	// Output:
	// pool "lb": invalid cidr "10.0.0.1/16": has host bits set, the network is 10.0.0.0/16
	// pool "lb": invalid blockSize "18": must be from 20 to 32
	// pool "lb": invalid nodeSelector "zone == 'a'": must be empty or all() where LoadBalancer is allowed
}

func ExampleParse() {
	selector, err := pool.Parse("zone in {'b','a',} && !has(gpu)")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(selector)
	fmt.Println(selector.Matches(map[string]string{"zone": "a"}))
	fmt.Println(selector.Matches(map[string]string{"zone": "a", "gpu": "yes"}))
	// Output:
	// zone in {"a", "b"} && !has(gpu)
	// true
	// false
}

// A block is skipped if it is reserved whole, by one entry or by several together.
func ExampleParseReservations() {
	reserved, warnings := pool.ParseReservations([]string{"10.148.0.0/28", "10.148.0.16/28", "10.152.0.999"})
	fmt.Println(warnings)
	fmt.Println(reserved.CoversPrefix(netip.MustParsePrefix("10.148.0.0/27")))
	fmt.Println(reserved.CountIn(netip.MustParsePrefix("10.148.0.0/16")))
	// Output:
	// [reservation "10.152.0.999" ignored: not an address or CIDR]
	// true
	// 32
}
