package course

import "fmt"

// World is a cluster as far as the steps of the tour look at it.
type World struct {
	Strict    bool
	BlockSize int    // of the first pool
	Borrowed  int    // addresses
	Died      bool   // a node has died in slow motion
	Nodes     []Node // those that are gone too, while they own blocks
}

// Node is a node of a [World].
type Node struct {
	Name      string
	Cordoned  bool
	Gone      bool
	Pods      int // those that wait too
	Waiting   int // pods without an address
	Borrows   int // addresses, its tunnel's too
	Confirmed int // claims that are
	Pending   int // claims in any other state
}

// node returns a node by name, nil if there is none.
func (w *World) node(name string) *Node {
	for i := range w.Nodes {
		if w.Nodes[i].Name == name {
			return &w.Nodes[i]
		}
	}
	return nil
}

// runs reports whether the node is there and has so many pods.
func (n *Node) runs(pods int) bool { return n != nil && !n.Gone && n.Pods >= pods }

// goals are the predicates of [Done], by name.
var goals = map[string]func(*World) bool{
	"replaced": func(w *World) bool { return w.node(worker).runs(3 + 5) },
	"second-block": func(w *World) bool {
		n := w.node(worker)
		return n != nil && n.Confirmed >= 2
	},
	"borrowed": func(w *World) bool {
		n := w.node(last)
		return n.runs(1) && n.Borrows >= 2
	},
	"ten-borrowed": func(w *World) bool {
		n := w.node(last)
		return n.runs(10) && n.Borrows >= 11
	},
	"refused": func(w *World) bool {
		n := w.node(last)
		return w.Strict && n != nil && n.Waiting > 0 && w.node(worker).runs(2+1)
	},
	"drained": func(w *World) bool {
		n := w.node(worker)
		return n != nil && n.Cordoned && n.Confirmed > 0
	},
	"cleaned": func(w *World) bool {
		n := w.node(worker)
		return n == nil || n.Gone && n.Confirmed+n.Pending == 0
	},
	"recovered": func(w *World) bool {
		n := w.node(worker)
		return w.Died && n != nil && n.Confirmed > 0 && n.Pending == 0
	},
	"own-blocks": func(w *World) bool {
		pods, waiting := 0, 0
		for _, n := range w.Nodes {
			pods += n.Pods
			waiting += n.Waiting
		}
		return len(w.Nodes) >= 31 && pods >= 360 && waiting+w.Borrowed == 0 && w.BlockSize == 28
	},
}

// Done reports whether the cluster is as a [Try] of this name wants it. An unknown name
// is an error.
func Done(name string, w *World) (bool, error) {
	goal, ok := goals[name]
	if !ok {
		return false, fmt.Errorf("name: there is no %q in the tour", name)
	}
	return goal(w), nil
}
