package trace

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file has the operations of Kubernetes and of the cleaning controller.

// Pod is a pod as recordings write it.
type Pod struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Node      string   `json:"node,omitempty"`
	IPs       []string `json:"ips,omitempty"`
	Evicted   bool     `json:"evicted,omitempty"`
}

// pod returns the pod as the library describes it.
func (p *Pod) pod() (lifecycle.Pod, error) {
	if p == nil {
		return lifecycle.Pod{}, errors.New("no pod")
	}
	out := lifecycle.Pod{PodName: lifecycle.PodName{Namespace: p.Namespace, Name: p.Name}, Node: p.Node, Evicted: p.Evicted}
	for _, text := range p.IPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return out, err
		}
		out.IPs = append(out.IPs, ip)
	}
	return out, nil
}

// nodes is where nodes are set: the engine, or the cluster, which sets them in the
// engine.
type nodes interface {
	SetNode(n ipam.Node) error
	DeleteNode(name string) bool
}

// oversee makes a cluster and its controller for the engine, if that is an
// allocator. Other engines have no lifecycle operations.
func (p *Player) oversee(h *Header) error {
	a, ok := p.engine.(*ipam.Allocator)
	if !ok {
		return nil
	}
	graceSeconds := h.LeakGracePeriodSeconds
	if graceSeconds < 0 || graceSeconds > int64(math.MaxInt64/time.Second) {
		return fmt.Errorf("leakGracePeriodSeconds %d is not a period", graceSeconds)
	}
	p.cluster = lifecycle.NewCluster(a)
	p.cluster.SetKubeVirt(h.kubeVirt())
	p.nodes = p.cluster
	var err error
	p.controller, err = lifecycle.NewController(p.cluster, lifecycle.Policy{GracePeriod: time.Duration(graceSeconds) * time.Second})
	return err
}

// overseen is an operation on the cluster.
func overseen(do func(p *Player, in *In) (Out, error)) func(*Player, *In) (Out, error) {
	return func(p *Player, in *In) (Out, error) {
		if p.cluster == nil {
			return Out{}, errors.New("there is no controller: Set was not called, or the engine is no ipam.Allocator")
		}
		return do(p, in)
	}
}

// addPod makes a pod appear in Kubernetes.
func addPod(p *Player, in *In) (Out, error) {
	pod, err := in.Pod.pod()
	if err != nil {
		return Out{}, err
	}
	return Out{}, p.cluster.SetPod(pod)
}

// deletePod deletes a pod in Kubernetes; a missing pod is no error.
func deletePod(p *Player, in *In) (Out, error) {
	pod, err := in.Pod.pod()
	if err != nil {
		return Out{}, err
	}
	p.cluster.DeletePod(pod.PodName)
	return Out{}, nil
}

// syncNow runs a sync of the controller.
func syncNow(p *Player, in *In) (Out, error) {
	r := p.controller.Sync(in.Full)
	return Out{
		ReleasedIPs: texts(r.ReleasedIPs), ReleasedBlocks: texts(r.ReleasedBlocks), WorkRemaining: r.WorkRemaining,
		Err: codeOf(r.Err),
	}, nil
}
