package session

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String is the operation in words, as a list of operations shows it.
func (op *Op) String() string {
	on := ""
	if op.Node != "" {
		on = " on " + op.Node
	}
	switch op.Do {
	case "setup":
		text := "begin with " + count(orElse(op.Nodes, 3), "node")
		if op.Pool != "" {
			text += " and pool " + op.Pool
		}
		if op.BlockSize != 0 {
			text += fmt.Sprintf(", blocks of /%d", op.BlockSize)
		}
		return text
	case "load":
		return "open " + op.Name
	case "add-node":
		return strings.TrimSpace("add a node " + op.Name)
	case "remove-node":
		if op.How == "gone" {
			return "lose " + op.Node
		}
		return "remove " + op.Node
	case "label-node":
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(op.Labels)) {
			if value := op.Labels[key]; value != nil {
				labels = append(labels, key+"="+*value)
			} else {
				labels = append(labels, key+"-") // as kubectl label takes one away
			}
		}
		return "label " + op.Node + " " + strings.Join(labels, " ")
	case "drain":
		return "drain " + op.Node
	case "undrain":
		return "undrain " + op.Node
	case "add-pods":
		if op.Fill {
			return "fill a block" + on
		}
		return "add " + count(orElse(op.Count, 1), "pod") + on
	case "remove-pods":
		return "remove " + count(orElse(op.Count, 1), "pod") + on
	case "remove-pod":
		return "remove " + op.Pod
	case "scale":
		return "scale to " + count(orElse(op.Count, 0), "pod")
	case "restart":
		if op.Back {
			return "restart " + op.Pod + " until its address returns"
		}
		return "restart " + op.Pod
	case "configure":
		return "configure " + op.settings()
	case "set-pool":
		return "set pool " + op.Name
	case "remove-pool":
		return "remove pool " + op.Name
	case "advance":
		return "wait " + op.By
	case "clean":
		return "kube-controllers looks"
	case "slow":
		var clients []string
		for i := range op.Clients {
			clients = append(clients, op.Clients[i].String())
		}
		return "slowly: " + strings.Join(clients, " beside ")
	}
	return op.Do
}

// settings are those of configure.
func (op *Op) settings() string {
	var words []string
	if op.Strict != nil {
		words = append(words, fmt.Sprintf("strict affinity: %t", *op.Strict))
	}
	if op.MaxBlocks != nil {
		words = append(words, "at most "+count(*op.MaxBlocks, "block"))
	}
	if op.Cooldown != nil {
		words = append(words, "cooldown "+*op.Cooldown)
	}
	return strings.Join(words, ", ")
}
