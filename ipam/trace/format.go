// Package trace reads, replays and writes recordings of an allocator.
//
// A recording is JSON Lines, plain or gzip. Its first line is the setting, a
// [Header]; every further line is one operation with its outcome, an [Op].
// Replaying does the operations on an Allocator and compares each outcome with the
// recorded one. That shows that the library is exact, and makes any run
// repeatable. A [Recorder] writes the operations of an Allocator in the same
// format.
//
// Absent fields are zero. An unknown field or operation is an error: a recording
// that is not understood proves nothing.
//
// The package does not judge outcomes: it compares wanted and got as text, with
// messages and state dumps.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package trace

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
)

// Version is the version of the format that this package reads and writes.
const Version = 1

// Header is the setting of a recording: the cluster before the first operation.
// The clock starts at Start and stands still between operations.
type Header struct {
	Version      int          `json:"version"`
	Name         string       `json:"name"`
	About        string       `json:"about,omitempty"`
	Start        time.Time    `json:"start"`
	Pools        []Pool       `json:"pools,omitempty"`
	Reservations []string     `json:"reservations,omitempty"`
	Nodes        []ipam.Node  `json:"nodes,omitempty"`
	Config       *ipam.Config `json:"config,omitempty"` // nil for the defaults
	// Calico is the release whose allocator was recorded, such as v3.28; empty for
	// the newest that package ipam knows.
	Calico string `json:"calico,omitempty"`
	// Snapshot names the cluster with which the recording begins; then it has no
	// pools, reservations, nodes or configuration of its own. The caller finds the
	// cluster, and plays with [PlayOn].
	Snapshot string `json:"snapshot,omitempty"`

	// LeakGracePeriodSeconds is the cleaning controller's grace period; 0 for
	// none. See [lifecycle.Policy].
	LeakGracePeriodSeconds int64 `json:"leakGracePeriodSeconds,omitempty"`
	// KubeVirt says that KubeVirt runs in the cluster, with no virtual machine, so
	// that the cleaning controller can tell that one is gone. Recordings older
	// than this field say so in About.
	KubeVirt bool `json:"kubeVirt,omitempty"`
}

// aboutKubeVirt is the text in About that says that KubeVirt runs, in recordings
// without the field.
const aboutKubeVirt = "KubeVirt runs and has no virtual machine"

// kubeVirt reports whether KubeVirt runs.
func (h *Header) kubeVirt() bool { return h.KubeVirt || strings.Contains(h.About, aboutKubeVirt) }

// Pool is an IPPool as recordings write it.
type Pool struct {
	Name              string   `json:"name"`
	CIDR              string   `json:"cidr"`
	BlockSize         int      `json:"blockSize"`
	NodeSelector      string   `json:"nodeSelector,omitempty"`
	NamespaceSelector string   `json:"namespaceSelector,omitempty"`
	AllowedUses       []string `json:"allowedUses,omitempty"`
	AssignmentMode    string   `json:"assignmentMode,omitempty"`
	Disabled          bool     `json:"disabled,omitempty"`
}

// Op is one operation and its outcome.
type Op struct {
	I   int    `json:"i"`  // its number, from 1
	Op  string `json:"op"` // its name, such as "AutoAssign"
	In  In     `json:"in"`
	Out Out    `json:"out"`

	// Line is its line in the recording, from 1, if a [Reader] read it; else 0.
	Line int `json:"-"`
}

// In holds the arguments of any operation; each uses a few of the fields.
type In struct {
	Host              string                `json:"host,omitempty"`
	Type              string                `json:"type,omitempty"` // of the owner: host if empty
	Num4              int                   `json:"num4,omitempty"`
	Num6              int                   `json:"num6,omitempty"`
	Handle            string                `json:"handle,omitempty"`
	Attrs             map[string]string     `json:"attrs,omitempty"`
	Use               string                `json:"use,omitempty"`
	Pools4            []string              `json:"pools4,omitempty"`
	Pools6            []string              `json:"pools6,omitempty"`
	MaxBlocksPerHost  int                   `json:"maxBlocksPerHost,omitempty"`
	MaxAllocPerHandle int                   `json:"maxAllocPerHandle,omitempty"`
	HostReserved4     *ipam.HostReservation `json:"hostReserved4,omitempty"`
	HostReserved6     *ipam.HostReservation `json:"hostReserved6,omitempty"`
	Windows           bool                  `json:"windows,omitempty"` // the client runs on Windows
	HasNamespace      bool                  `json:"hasNamespace,omitempty"`
	NamespaceLabels   map[string]string     `json:"namespaceLabels,omitempty"`

	IP       string    `json:"ip,omitempty"`
	CIDR     string    `json:"cidr,omitempty"`
	Releases []Release `json:"releases,omitempty"`
	CIDRs    []string  `json:"cidrs,omitempty"` // the blocks to collect in; none for all
	Pools    []string  `json:"pools,omitempty"` // names or CIDRs; none for all

	ActiveAttrs          map[string]string `json:"activeAttrs,omitempty"`
	ClearActive          bool              `json:"clearActive,omitempty"`
	AlternateAttrs       map[string]string `json:"alternateAttrs,omitempty"`
	ClearAlternate       bool              `json:"clearAlternate,omitempty"`
	ExpectActive         *ipam.OwnerRef    `json:"expectActive,omitempty"`
	ExpectAlternate      *ipam.OwnerRef    `json:"expectAlternate,omitempty"`
	ExpectActiveEmpty    bool              `json:"expectActiveEmpty,omitempty"`
	ExpectAlternateEmpty bool              `json:"expectAlternateEmpty,omitempty"`

	MustBeEmpty  bool         `json:"mustBeEmpty,omitempty"`
	Config       *ipam.Config `json:"config,omitempty"`
	Pool         *Pool        `json:"pool,omitempty"`
	Node         *ipam.Node   `json:"node,omitempty"`
	Reservations []string     `json:"reservations,omitempty"`
	Seconds      int64        `json:"seconds,omitempty"`
	// State is the state that PutAffinity writes, what to Show, or "whole" for a
	// State with everything.
	State string `json:"state,omitempty"`
	Pod   *Pod   `json:"pod,omitempty"`
	Full  bool   `json:"full,omitempty"` // a full Sync
}

// Release is one address of a ReleaseIPs.
type Release struct {
	IP     string `json:"ip"`
	Handle string `json:"handle,omitempty"`
	// Seq is "current" for the address's own sequence number, "stale" for one
	// less, or empty. If blocks overlap, an address has a number in each. Then the
	// outcome shows which is meant: that of the block that the release uses, or
	// another.
	Seq string `json:"seq,omitempty"`
}

// Out holds the outcome of any operation; each uses a few of the fields.
type Out struct {
	// Err is a code of §13; empty means success.
	Err string `json:"err,omitempty"`

	IPs4  []string `json:"ips4,omitempty"` // with the block's mask, as given out
	IPs6  []string `json:"ips6,omitempty"`
	Msgs4 []string `json:"msgs4,omitempty"`
	Msgs6 []string `json:"msgs6,omitempty"`

	Unallocated []string `json:"unallocated,omitempty"` // sorted as text
	Released    []string `json:"released,omitempty"`    // sorted as text
	IPs         []string `json:"ips,omitempty"`         // sorted as text

	Handle         string            `json:"handle,omitempty"`
	Attrs          map[string]string `json:"attrs,omitempty"`
	AlternateAttrs map[string]string `json:"alternateAttrs,omitempty"`

	Claimed []string `json:"claimed,omitempty"`
	Failed  []string `json:"failed,omitempty"`
	Block4  string   `json:"block4,omitempty"`
	Block6  string   `json:"block6,omitempty"`

	ReleasedIPs    []string `json:"releasedIPs,omitempty"`    // sorted as text
	ReleasedBlocks []string `json:"releasedBlocks,omitempty"` // sorted as text
	WorkRemaining  bool     `json:"workRemaining,omitempty"`

	Pools []ipam.PoolUsage `json:"pools,omitempty"`
	Shown string           `json:"shown,omitempty"`
	State *State           `json:"state,omitempty"`
}

// State is a dump of everything that is allocated and claimed.
type State struct {
	Blocks     []Block                   `json:"blocks,omitempty"`     // by name
	Affinities []Affinity                `json:"affinities,omitempty"` // by type, host and name
	Handles    map[string]map[string]int `json:"handles,omitempty"`    // by id, then block
}

// Block is one block of a dump.
type Block struct {
	CIDR     string  `json:"cidr"`
	Affinity string  `json:"affinity,omitempty"` // "host:NAME" or "virtual:NAME"
	Free     string  `json:"free"`               // the queue in its order, as ranges: "5-63,0,3"
	Allocs   []Alloc `json:"allocs,omitempty"`

	// This and the fields below are in whole dumps only.
	Seq     uint64    `json:"seq,omitempty"`    // the sequence number
	Claimed time.Time `json:"claimed,omitzero"` // when the owner claimed it
}

// Alloc is one allocated ordinal of a dump.
type Alloc struct {
	Ordinal        int               `json:"ordinal"`
	Handle         string            `json:"handle,omitempty"`
	Attrs          map[string]string `json:"attrs,omitempty"`
	AlternateAttrs map[string]string `json:"alternateAttrs,omitempty"`
	Cooldown       bool              `json:"cooldown,omitempty"`

	// Seq is the sequence number: in a whole dump the number itself, in others its
	// distance behind that of the block. Older recordings have none.
	Seq        uint64    `json:"seq,omitempty"`
	Record     int       `json:"record,omitempty"` // its attribute record, from 0
	ReleasedAt time.Time `json:"releasedAt,omitzero"`
}

// Affinity is one affinity of a dump.
type Affinity struct {
	Type  string `json:"type"`
	Host  string `json:"host"`
	CIDR  string `json:"cidr"`
	State string `json:"state"`

	Created time.Time `json:"created,omitzero"`
}

// String returns the outcome as recordings write it, which is how outcomes are
// compared and shown.
func (o Out) String() string { return compact(o) }

// compact writes a part of an operation as JSON.
func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error() // no field can fail
	}
	return string(text)
}
