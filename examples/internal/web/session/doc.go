// Package session is the model behind the page of the web lab: a cluster, the list of
// operations that made it, and in sentences what each of them did.
//
// [Session.Call] is all that the page needs: it takes the name of a method, its
// arguments as JSON, and the bytes of a file where there is one, and answers with JSON:
// {"ok":…}, or {"error":"a sentence","reasons":["…"]}, after which nothing has changed.
// The same calls give the same bytes: there is no clock, no randomness and no file here.
//
// # Operations
//
// A state is a list of operations. The first makes the cluster. Each is an object with
// the name of an act in "do", and its arguments; other fields are refused.
//
//	setup        nodes 1 to 5,000 (3), pool (192.168.0.0/16), blockSize (26, or 122),
//	             calico (v3.28), pods lab (with tunnels and the lab's pods) or none
//	add-node     name, labels, tunnel (as setup: lab true, none false)
//	remove-node  node; how drained (its pods move first) or gone
//	label-node   node, labels (null deletes a label)
//	drain        node: its pods move, and it takes no new ones; undrain: node
//	add-pods     node (the one with the fewest pods); count, or fill true: up to the end
//	             of the blocks that the node has, or of a new one
//	remove-pods  node, count: the newest; remove-pod: pod as namespace/name
//	scale        count: so many pods of the deployment in all
//	restart      pod: it gives its address back and asks again; back true: again and again,
//	             until it gets the address that it had
//	configure    strict, maxBlocks (only with strict), cooldown 0s to 20m
//	set-pool     name, cidr, blockSize, nodeSelector, disabled, and reserved: all
//	             reservations of the cluster; remove-pool: name
//	advance      by 1s to 720h: pods without an address ask again
//	clean        kube-controllers looks once
//	slow         clients, schedule: an act in slow motion, which slow-end writes
//	load         name: a file, which only the method load opens
//
// # Methods
//
// Those marked v answer with a [View].
//
//	do               an operation: v       undo, redo, reset, view: v
//	goto             at: v                 run: ops, a new list: v
//	fragment         → fragment, the operations for a link of up to 8 kB
//	open             fragment: v           open-operations: a file's bytes: v
//	load             name, a file's bytes: v
//	cells            blocks (CIDRs) → [Cells] of each
//	map              pool → [Map]          walk: pool, node, most → [Walk]
//	tab              which, ip → [Tab]: ipam-show, ipam-show-blocks,
//	                 ipam-show-borrowed, ipam-show-ip, affinities, affinities-yaml,
//	                 affinities-jsonpath, affinities-columns, objects, nodes
//	pods             node, or all without → [PodView] of each
//	slow-start       clients, operations add-pods (with a node, count 1 to 4),
//	                 remove-pod or remove-pods → [Slow]
//	slow-step        client (a number), do "step" or "die" → [Slow]
//	slow             → [Slow]              slow-cancel: v
//	slow-end         once all clients have ended or died: v
//	export           what trace, resources or operations → [File]
//	command          → {"command"} that prints a cluster's resources in a shell
//	findings         → [Findings] of the file that is open
//	plan             nodes, pods (of each), blockSize, pool, strict → [Plan]
//	tour             → [Tour], the course; done: name of what a step waits for → [Done]
//
// While a slow act is under way the cluster stays as it was, and whatever would change
// it is refused.
//
// # The view
//
// A [View] is the state as the page shows it. All fields are always there, and lists
// without items are empty. At is how many operations are in force, at least 1, and
// Length how many there are, with those undone. Blocks that no node owns are in Unowned.
// A node that is gone stays, with Gone set, as long as it has left blocks or addresses.
// A claim whose block does not exist is among its node's blocks, with Exists false.
//
// # What it is not
//
// It decides nothing about addresses: package ipam does, package ipam/protocol in slow
// motion, and package ipam/lifecycle for kube-controllers. Pods and their places are
// its own.
package session
