package snapshot

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// Group is one of the API groups that Calico's resources come in.
type Group string

// The two groups.
const (
	V1 Group = groupV1 // what the datastore holds
	V3 Group = groupV3 // what Calico's API server shows
)

// ErrNotWritable matches errors about what resources cannot hold: text that is not
// UTF-8 or longer than 64 KiB, and blocks that cannot exist.
var ErrNotWritable = errors.New("snapshot: not writable")

// WriteYAML writes the cluster as kubectl prints a List of its resources, and the
// release, if the snapshot has one, as ClusterInformation at the end. [Load] reads it
// as the same cluster; pods and the rest are not written. To write the cluster of an
// allocator a, write Snapshot{Cluster: a.Cluster()}.
//
// The List has pools, reservations, blocks, affinities, handles, the configuration
// and nodes, in this order and each kind by name. Equal clusters give equal bytes.
// Objects have only what IPAM looks at; all reservations are one object. Errors are
// w's, or match [ErrNotWritable].
func (s *Snapshot) WriteYAML(w io.Writer, g Group) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "apiVersion: v1\nitems:\n")
	empty := true
	err := s.resources(g, func(o tree) error {
		empty = false
		return writeItem(out, o)
	})
	if empty {
		out.Reset(w)
		fmt.Fprintf(out, "apiVersion: v1\nitems: []\n")
	}
	fmt.Fprintf(out, "kind: List\nmetadata:\n  resourceVersion: \"\"\n")
	return errors.Join(err, out.Flush())
}

// WriteJSON is [Snapshot.WriteYAML] in JSON, one object a line. kubectl -o json
// prints the same with more blanks.
func (s *Snapshot) WriteJSON(w io.Writer, g Group) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `{"apiVersion":"v1","items":[`)
	sep := "\n"
	err := s.resources(g, func(o tree) error {
		text, err := json.Marshal(o)
		if err != nil {
			return err // cannot be
		}
		_, _ = out.WriteString(sep)
		sep = ",\n"
		_, err = out.Write(text)
		return err
	})
	fmt.Fprintf(out, "\n],\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"\"}}\n")
	return errors.Join(err, out.Flush())
}

// tree is an object as JSON and YAML have it.
type tree = map[string]any

// resources calls yield for every object of the cluster, and for its release.
func (s *Snapshot) resources(g Group, yield func(tree) error) error {
	c := &s.Cluster
	w := resourceWriter{group: g, yield: yield}
	for _, p := range c.Pools {
		w.put("IPPool", p.Name, nil, poolTree(p))
	}
	if len(c.Reservations) > 0 {
		w.put("IPReservation", "reservations", nil, tree{"reservedCIDRs": texts(c.Reservations)})
	}
	shown := uint64(0) // the highest sequence number of all blocks
	for i := range c.Blocks {
		b := &c.Blocks[i]
		if err := writableBlock(b); err != nil {
			return err
		}
		shown = max(shown, b.Sequence)
		for _, al := range b.Allocations {
			shown = max(shown, al.Seq)
		}
		w.put("IPAMBlock", affinity.CIDRName(b.CIDR), nil, blockTree(b))
	}
	for _, a := range c.Affinities {
		w.affinity(a)
	}
	for _, h := range c.Handles {
		counts := make(tree, len(h.Counts))
		for _, n := range h.Counts {
			counts[n.Block.String()] = n.Count
		}
		w.put("IPAMHandle", strings.ToLower(h.ID), nil, tree{"block": counts, "deleted": false, "handleID": h.ID})
	}
	w.config(c, shown)
	for _, n := range c.Nodes {
		metadata := tree{}
		if len(n.Labels) > 0 {
			metadata["labels"] = n.Labels
		}
		w.object(groupCore, "Node", n.Name, metadata, nil)
	}
	if s.Calico != 0 {
		w.put("ClusterInformation", "default", nil, tree{"calicoVersion": s.Calico.String()})
	}
	return w.err
}

type resourceWriter struct {
	group Group
	yield func(tree) error
	err   error
}

// put writes an object of Calico's.
func (w *resourceWriter) put(kind, name string, metadata, spec tree) {
	w.object(string(w.group), kind, name, metadata, spec)
}

func (w *resourceWriter) object(group, kind, name string, metadata, spec tree) {
	if w.err != nil {
		return
	}
	if metadata == nil {
		metadata = tree{}
	}
	metadata["name"] = name
	o := tree{"apiVersion": group, "kind": kind, "metadata": metadata}
	if spec != nil {
		o["spec"] = spec
	}
	if text, bad := unwritable(o); bad {
		w.err = fmt.Errorf("%w: %s %s: text %s", ErrNotWritable, kind, quote(name), quote(text))
		return
	}
	w.err = w.yield(o)
}

func (w *resourceWriter) affinity(a ipam.AffinityState) {
	spec := tree{
		"cidr": a.CIDR.String(), "node": a.Owner.Name, "state": a.State.String(), "type": string(a.Owner.Type),
		"deleted": false,
	}
	if w.group == V1 {
		spec["deleted"] = "false"
	}
	var metadata tree
	if !a.Created.IsZero() {
		metadata = tree{"creationTimestamp": moment(a.Created)}
	}
	w.put("BlockAffinity", affinity.Name(a.Owner.Name, a.CIDR), metadata, spec)
}

// config writes the configuration, and the highest sequence number if no block has
// it.
func (w *resourceWriter) config(c *ipam.Cluster, shown uint64) {
	if c.Config == ipam.DefaultConfig() && c.LastSequence <= shown {
		return // the defaults need no object
	}
	kind := "IPAMConfig"
	if w.group == V3 {
		kind = "IPAMConfiguration"
	}
	var metadata tree
	if c.LastSequence > shown {
		metadata = tree{"annotations": tree{lastSequence: strconv.FormatUint(c.LastSequence, 10)}}
	}
	spec := tree{
		"strictAffinity": c.Config.StrictAffinity, "autoAllocateBlocks": c.Config.AutoAllocateBlocks,
		"maxBlocksPerHost": c.Config.MaxBlocksPerHost, "ipCooldownSeconds": c.Config.IPCooldownSeconds,
	}
	if v := c.Config.KubeVirtVMAddressPersistence; v != "" {
		spec["kubeVirtVMAddressPersistence"] = v
	}
	w.put(kind, "default", metadata, spec)
}

func poolTree(p pool.Spec) tree {
	p = p.WithDefaults()
	uses := p.AllowedUses
	if len(uses) == 0 {
		uses = []pool.Use{pool.Workload, pool.Tunnel} // as stored pools have it
	}
	spec := tree{
		"cidr": p.CIDR.String(), "blockSize": p.BlockSize, "allowedUses": texts(uses), "assignmentMode": string(p.AssignmentMode),
	}
	if p.NodeSelector != "" {
		spec["nodeSelector"] = p.NodeSelector
	}
	if p.NamespaceSelector != "" {
		spec["namespaceSelector"] = p.NamespaceSelector
	}
	if p.Disabled {
		spec["disabled"] = true
	}
	return spec
}

// writableBlock refuses a block that cannot exist.
func writableBlock(b *ipam.BlockState) error {
	if !b.CIDR.IsValid() || !possibleBlock(b.CIDR) {
		return fmt.Errorf("%w: %s is no block", ErrNotWritable, b.CIDR)
	}
	for _, al := range b.Allocations {
		if al.Ordinal < 0 || al.Ordinal >= 1<<(b.CIDR.Addr().BitLen()-b.CIDR.Bits()) {
			return fmt.Errorf("%w: block %s has no ordinal %d", ErrNotWritable, b.CIDR, al.Ordinal)
		}
	}
	return nil
}

func blockTree(b *ipam.BlockState) tree {
	size := 1 << (b.CIDR.Addr().BitLen() - b.CIDR.Bits())
	allocations := make([]any, size)
	numbers := tree{}
	ranks := recordRanks(b.Allocations)
	attributes := make([]any, len(ranks))
	for _, al := range b.Allocations {
		rank := ranks[al.Record]
		allocations[al.Ordinal] = rank
		if al.Seq != 0 {
			numbers[strconv.Itoa(al.Ordinal)] = al.Seq
		}
		if attributes[rank] == nil {
			record := tree{}
			if al.Handle != "" {
				record["handle_id"] = al.Handle
			}
			if al.Active.Len() > 0 {
				record["secondary"] = al.Active.Map()
			}
			if al.Alternate.Len() > 0 {
				record["alternateOwnerAttrs"] = al.Alternate.Map()
			}
			if !al.ReleasedAt.IsZero() {
				record["releasedAt"] = moment(al.ReleasedAt)
			}
			attributes[rank] = record
		}
	}
	queue := make([]any, len(b.Free))
	for i, ord := range b.Free {
		queue[i] = ord
	}
	spec := tree{
		"cidr": b.CIDR.String(), "allocations": allocations, "attributes": attributes, "unallocated": queue, "deleted": false,
		"sequenceNumber": b.Sequence, "sequenceNumberForAllocation": numbers, "strictAffinity": false,
	}
	if !b.Owner.IsZero() {
		spec["affinity"] = b.Owner.String()
		if !b.Claimed.IsZero() {
			spec["affinityClaimTime"] = moment(b.Claimed)
		}
	}
	return spec
}

// recordRanks numbers the attribute records in use from 0, in their order.
func recordRanks(allocations []block.Allocation) map[int]int {
	numbers := make([]int, len(allocations))
	for i, al := range allocations {
		numbers[i] = al.Record
	}
	slices.Sort(numbers)
	ranks := make(map[int]int, len(numbers))
	for i, n := range slices.Compact(numbers) {
		ranks[n] = i
	}
	return ranks
}

// moment writes a time, with a fraction of the second where there is one.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func texts[T ~string](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// unwritable returns the first text that cannot be written, in the order of keys.
func unwritable(v any) (text string, bad bool) {
	switch v := v.(type) {
	case string:
		return v, len(v) > maxText || !utf8.ValidString(v)
	case tree:
		for _, key := range sortedKeys(v) {
			if text, bad := unwritable(key); bad {
				return text, true
			}
			if text, bad := unwritable(v[key]); bad {
				return text, true
			}
		}
	case map[string]string:
		for _, key := range sortedKeys(v) {
			for _, text := range []string{key, v[key]} {
				if _, bad := unwritable(text); bad {
					return text, true
				}
			}
		}
	case []any:
		for _, e := range v {
			if text, bad := unwritable(e); bad {
				return text, true
			}
		}
	}
	return "", false
}
