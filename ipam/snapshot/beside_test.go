package snapshot

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"
)

// TestBeside: what a cluster has beside IPAM's own objects is read as far as it is of
// use, and never a problem.
func TestBeside(t *testing.T) {
	s, err := read(Options{}, `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {env: prod}, annotations: {cni.projectcalico.org/ipv4pools: '["blue"]'}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: LoadBalancer, clusterIP: 10.96.0.9}
status: {loadBalancer: {ingress: [{ip: 10.0.0.9}, {hostname: x.example}]}}
---
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: shop}
spec: {type: ClusterIP}
---
apiVersion: projectcalico.org/v3
kind: KubeControllersConfiguration
metadata: {name: default}
spec: {controllers: {node: {leakGracePeriod: 30m0s}}}
---
apiVersion: v1
kind: Node
metadata: {name: a}
spec: {podCIDR: 10.244.1.0/24, podCIDRs: [10.244.1.0/24, "fd00:1::/64"]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-proxy, namespace: kube-system}
data:
  config.conf: |
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    clusterCIDR: 10.244.0.0/16,fd00::/48
    kind: KubeProxyConfiguration
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kubeadm-config, namespace: kube-system}
data:
  ClusterConfiguration: |
    kind: ClusterConfiguration
    networking:
      dnsDomain: cluster.local
      podSubnet: 10.244.0.0/16
      serviceSubnet: 10.96.0.0/12
---
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.112.0.0/16]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: kube-system}
data: {a: b}
`)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.Eq(t, map[string]int{"ConfigMap": 1}, s.Skipped)
	must.Eq(t, []Namespace{{"shop", map[string]string{"env": "prod"}, map[string]string{"cni.projectcalico.org/ipv4pools": `["blue"]`}}}, s.Namespaces)
	must.Eq(t, []Service{{"shop", "web", []netip.Addr{netip.MustParseAddr("10.0.0.9")}}}, s.Services)
	must.Eq(t, 30*time.Minute, s.GracePeriod)
	must.Eq(t, "KubeControllersConfiguration default", s.GracePeriodFrom)
	at := netip.MustParsePrefix
	must.SliceContainsAllOp(t, s.Ranges, []Range{
		{at("10.244.1.0/24"), podsOfNode, "Node a", "a"}, {at("fd00:1::/64"), podsOfNode, "Node a", "a"},
		{at("10.244.0.0/16"), podsOfCluster, "ConfigMap kube-system/kube-proxy", ""}, {at("fd00::/48"), podsOfCluster, "ConfigMap kube-system/kube-proxy", ""},
		{at("10.244.0.0/16"), podsOfCluster, "ConfigMap kube-system/kubeadm-config", ""},
		{at("10.96.0.0/12"), forServices, "ConfigMap kube-system/kubeadm-config", ""},
		{at("10.112.0.0/16"), forServices, "ServiceCIDR more", ""},
	})

	// Whatever else stands there says nothing.
	s, err = read(Options{}, someNode, `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: 3}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: 3
---
apiVersion: crd.projectcalico.org/v1
kind: KubeControllersConfiguration
metadata: {name: default}
spec: {controllers: {node: {leakGracePeriod: soon}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-proxy, namespace: kube-system}
data: {config.conf: "a: [\n"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kubeadm-config}
data: [1]
`)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.SliceEmpty(t, s.Ranges, must.Sprint(s.Ranges))
	must.SliceEmpty(t, s.Namespaces, must.Sprint(s.Namespaces))
	must.Eq(t, 15*time.Minute, s.GracePeriod)
	must.Eq(t, "the default of 15m0s", s.GracePeriodFrom)
}
