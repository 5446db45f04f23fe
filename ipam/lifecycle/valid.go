package lifecycle

import (
	"slices"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// A kind is what an allocation is for, as far as the controller distinguishes.
type kind uint8

const (
	foreign kind = iota // neither a pod's nor a tunnel's: it and its node stay
	ofPod
	ofTunnel
	ofWindows // host-reserved: ignored
)

// holder is the holder of an allocation, read from its attributes.
type holder struct {
	kind      kind
	pod       PodName
	listed    *listed // the pod, as found last; nil for none
	sought    uint64  // one more than the pods ever added when it was sought last; 0 before
	node      string  // empty without the attribute
	isMachine bool    // has the attribute vmi-name: a virtual machine holds it
	machine   string  // the value of vmi-name, perhaps empty
}

// holderOf reads attributes (§11, §12); vmi-name only if machines is set.
func holderOf(handle string, attrs block.Attrs, machines bool) holder {
	var h holder
	var use string
	for key, value := range attrs.All() {
		switch key {
		case ipam.AttrPod:
			h.pod.Name = value
		case ipam.AttrNamespace:
			h.pod.Namespace = value
		case ipam.AttrNode:
			h.node = value
		case ipam.AttrType:
			use = value
		case ipam.AttrVMI:
			if machines {
				h.isMachine, h.machine = true, value
			}
		}
	}
	switch {
	case handle == block.HostReservedHandle:
		h.kind = ofWindows
	case h.pod.Name != "" && h.pod.Namespace != "":
		h.kind = ofPod
	case isTunnel(use):
		h.kind = ofTunnel
	}
	return h
}

// isTunnel reports whether an attribute type is that of a node's tunnel address.
func isTunnel(use string) bool {
	switch use {
	case "ipipTunnelAddress", "vxlanTunnelAddress", "vxlanV6TunnelAddress", "wireguardTunnelAddress", "wireguardV6TunnelAddress":
		return true
	}
	return false
}

// holds reports whether an allocation is valid: somebody still holds it. nodeExists
// is whether its node existed when it was last scanned (§12, "A scan", 2).
func (k *Controller) holds(al *allocation, nodeExists bool) bool {
	h := &al.holder
	switch {
	case h.kind == ofTunnel:
		return nodeExists
	case h.isMachine:
		return k.cluster.machines.hold(h.pod.Namespace, h.machine)
	}
	p := k.cluster.pods.again(h)
	switch {
	case p == nil:
		return false
	case p.Node != h.node && p.Node != "" && nodeExists:
		return false // it moved; this is not checked if the node is gone
	case len(p.IPs) == 0:
		return true // not reported yet
	case p.Evicted:
		if k.memory.tell(evicts); k.rules.EvictedLoseAddresses {
			return false
		}
	}
	return slices.Contains(p.IPs, al.ip)
}
