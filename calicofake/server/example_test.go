package server_test

import (
	"context"
	"fmt"
	"log"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	libapiv3 "github.com/projectcalico/calico/libcalico-go/lib/apis/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ipamsim/ipamsim/calicofake/fake"
	"github.com/ipamsim/ipamsim/calicofake/server"
)

// A controller's own client makes the pool, Calico's IPAM assigns from it, and the
// client reads the pool's blocks.
func ExampleNew() {
	f := fake.New(fake.Options{})
	if err := f.SetNode("node-1", nil); err != nil {
		log.Fatal(err)
	}
	s, err := server.New(f)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	scheme := runtime.NewScheme()
	if err := fake.AddToScheme(scheme); err != nil {
		log.Fatal(err)
	}
	c, err := client.New(s.Config(), client.Options{Scheme: scheme})
	if err != nil {
		log.Fatal(err)
	}

	pool := fake.Pool("blue", "10.0.0.0/26")
	if err := c.Create(context.Background(), &pool); err != nil {
		log.Fatal(err)
	}
	v4, _, err := f.IPAM().AutoAssign(context.Background(), ipam.AutoAssignArgs{
		Num4: 1, Hostname: "node-1", IntendedUse: v3.IPPoolAllowedUseWorkload,
	})
	if err != nil {
		log.Fatal(err)
	}
	var block libapiv3.IPAMBlock
	if err := c.Get(context.Background(), client.ObjectKey{Name: "10-0-0-0-26"}, &block); err != nil {
		log.Fatal(err)
	}
	fmt.Println(v4.IPs[0].IP, "of", block.Spec.CIDR, *block.Spec.Affinity)
	// Output: 10.0.0.0 of 10.0.0.0/26 host:node-1
}
