package snapshot

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// poolSpec is the spec of an IPPool, in both groups.
type poolSpec struct {
	CIDR              field[string]   `json:"cidr"`
	BlockSize         field[int]      `json:"blockSize"`
	NodeSelector      field[string]   `json:"nodeSelector"`
	NamespaceSelector field[string]   `json:"namespaceSelector"`
	AllowedUses       field[[]string] `json:"allowedUses"`
	AssignmentMode    field[string]   `json:"assignmentMode"`
	Disabled          flag            `json:"disabled"`
}

func (o *object) pool() {
	var spec poolSpec
	if !o.part("spec", o.Spec, &spec) {
		return
	}
	o.misspelt("spec", o.Spec, spec)
	if p, ok := o.poolSpec("spec", o.name, &spec); ok {
		o.l.pools = append(o.l.pools, named[pool.Spec]{p.Name, o.at, p})
	}
}

// misspelt says which keys of a part differ from one of its fields only in the case of
// letters. They are not read, as by the API server; people who write resources themselves
// may not know.
func (o *object) misspelt(name string, text rawField, part any) {
	var keys map[string]rawField
	if decode(text, &keys) != nil {
		return // impossible: the part has been read
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(part)) {
			if want := f.Tag.Get("json"); key != want && strings.EqualFold(key, want) {
				o.odd(name, "has the key %s, which is not read: the field is called %s", quote(key), want)
			}
		}
	}
}

// poolSpec checks a pool that stands in the field at.
func (o *object) poolSpec(at, name string, spec *poolSpec) (pool.Spec, bool) {
	before := len(o.l.problems)
	cidr, ok := o.cidr(at+".cidr", spec.CIDR)
	p := pool.Spec{
		Name: name, CIDR: cidr,
		BlockSize:         get(o, at+".blockSize", spec.BlockSize),
		NodeSelector:      o.text(at+".nodeSelector", spec.NodeSelector),
		NamespaceSelector: o.text(at+".namespaceSelector", spec.NamespaceSelector),
		AssignmentMode:    pool.Mode(o.text(at+".assignmentMode", spec.AssignmentMode)),
		Disabled:          get(o, at+".disabled", spec.Disabled.field),
	}
	for _, use := range get(o, at+".allowedUses", spec.AllowedUses) {
		p.AllowedUses = append(p.AllowedUses, pool.Use(use))
	}
	if usual(p.AllowedUses) {
		// Stored pools have their defaults written out. Beside a namespace selector
		// a new pool would be refused for them.
		p.AllowedUses = nil
	}
	if !ok {
		// Any CIDR will do to validate the rest.
		p.CIDR = netip.MustParsePrefix("10.0.0.0/8")
	}
	if err := p.Validate(); err != nil {
		for _, err := range list(err) {
			o.invalidPool(at, err)
		}
	}
	return p.WithDefaults(), len(o.l.problems) == before
}

// usual reports whether the uses are the default ones.
func usual(uses []pool.Use) bool {
	return len(uses) == 2 && (uses[0] == pool.Workload && uses[1] == pool.Tunnel || uses[1] == pool.Workload && uses[0] == pool.Tunnel)
}

// reservationSpec is the spec of an IPReservation.
type reservationSpec struct {
	ReservedCIDRs field[[]string] `json:"reservedCIDRs"`
}

func (o *object) reservation() {
	var spec reservationSpec
	if !o.part("spec", o.Spec, &spec) {
		return
	}
	o.misspelt("spec", o.Spec, spec)
	entries := get(o, "spec.reservedCIDRs", spec.ReservedCIDRs)
	if o.bad {
		return
	}
	if _, warnings := pool.ParseReservations(entries); len(warnings) > 0 {
		for _, w := range warnings {
			o.odd("spec.reservedCIDRs", "%s is ignored, as Calico does: %s", quote(w.Entry), w.Reason)
		}
	}
	o.l.reservations = append(o.l.reservations, named[[]string]{o.name, o.at, entries})
}

// configSpec is the spec of an IPAMConfig or IPAMConfiguration.
type configSpec struct {
	StrictAffinity     flag       `json:"strictAffinity"`
	AutoAllocateBlocks flag       `json:"autoAllocateBlocks"`
	MaxBlocksPerHost   field[int] `json:"maxBlocksPerHost"`
	IPCooldownSeconds  field[int] `json:"ipCooldownSeconds"`

	KubeVirtVMAddressPersistence field[string] `json:"kubeVirtVMAddressPersistence"`
}

// lastSequence is an annotation of the configuration. It keeps the highest sequence
// number ever used, where no block has it any more.
const lastSequence = "ipamsim.github.io/last-sequence-number"

func (o *object) config() {
	if o.name != "default" && o.name != "" {
		o.odd("metadata.name", "only the configuration called default has an effect")
		return
	}
	spec := configSpec{AutoAllocateBlocks: flag{field[bool]{value: true}}}
	if !o.part("spec", o.Spec, &spec) {
		return
	}
	o.misspelt("spec", o.Spec, spec)
	c := ipam.Config{
		StrictAffinity:     get(o, "spec.strictAffinity", spec.StrictAffinity.field),
		AutoAllocateBlocks: get(o, "spec.autoAllocateBlocks", spec.AutoAllocateBlocks.field),
		MaxBlocksPerHost:   get(o, "spec.maxBlocksPerHost", spec.MaxBlocksPerHost),
		IPCooldownSeconds:  get(o, "spec.ipCooldownSeconds", spec.IPCooldownSeconds),

		KubeVirtVMAddressPersistence: get(o, "spec.kubeVirtVMAddressPersistence", spec.KubeVirtVMAddressPersistence),
	}
	if c.MaxBlocksPerHost < 0 {
		o.wrong("spec.maxBlocksPerHost", "is %d, must not be negative", c.MaxBlocksPerHost)
	}
	if c.IPCooldownSeconds < 0 || c.IPCooldownSeconds > ipam.MaxCooldownSeconds {
		o.wrong("spec.ipCooldownSeconds", "is %d, must be 0 to %d", c.IPCooldownSeconds, ipam.MaxCooldownSeconds)
	}
	if v := c.KubeVirtVMAddressPersistence; v != "" && v != "Enabled" && v != "Disabled" {
		o.wrong("spec.kubeVirtVMAddressPersistence", "is %s, must be Enabled or Disabled", quote(v))
	}
	if text := o.annotations()[lastSequence]; text != "" {
		o.l.cluster.LastSequence = max(o.l.cluster.LastSequence, o.number("metadata.annotations", text))
	}
	if !o.bad {
		o.l.configs = append(o.l.configs, named[ipam.Config]{"default", o.at, c})
	}
}

// affinitySpec is the spec of a BlockAffinity.
type affinitySpec struct {
	CIDR    field[string] `json:"cidr"`
	Node    field[string] `json:"node"`
	State   field[string] `json:"state"`
	Type    field[string] `json:"type"`
	Deleted flag          `json:"deleted"`
}

func (o *object) affinity() {
	var spec affinitySpec
	if !o.part("spec", o.Spec, &spec) || o.skip(spec.Deleted) {
		return
	}
	cidr, _ := o.cidr("spec.cidr", spec.CIDR)
	owner := affinity.Owner{Type: affinity.Type(o.text("spec.type", spec.Type))}
	owner.Name, _ = o.short("spec.node", spec.Node, maxName)
	if owner.Type == "" {
		owner.Type = affinity.Host
	}
	if owner.Type != affinity.Host && owner.Type != affinity.Virtual {
		o.wrong("spec.type", "is %s, must be host or virtual", quote(string(owner.Type)))
	}
	if spec.Node.wrong == "" && spec.Node.value == "" {
		o.wrong("spec.node", "is missing")
	}
	state, err := affinity.ParseState(o.text("spec.state", spec.State))
	if spec.State.wrong == "" && (err != nil || state == affinity.None) {
		o.wrong("spec.state", "is %s, must be pending, confirmed or pendingDeletion", quote(spec.State.value))
	}
	created := o.moment("metadata.creationTimestamp", o.Metadata.Created)
	if o.bad {
		return
	}
	o.l.affinities = append(o.l.affinities, located[ipam.AffinityState]{o.at, ipam.AffinityState{Owner: owner, CIDR: cidr, State: state, Created: created}})
}

// handleSpec is the spec of an IPAMHandle.
type handleSpec struct {
	HandleID field[string]  `json:"handleID"`
	Block    field[intsMap] `json:"block"`
	Deleted  flag           `json:"deleted"`
}

type intsMap = map[string]int

func (o *object) handle() {
	var spec handleSpec
	if !o.part("spec", o.Spec, &spec) || o.skip(spec.Deleted) {
		return
	}
	h := ipam.HandleState{ID: o.text("spec.handleID", spec.HandleID)}
	if h.ID == "" {
		h.ID = o.name
	}
	if h.ID == "" {
		o.wrong("spec.handleID", "is missing")
	}
	counts := get(o, "spec.block", spec.Block)
	for _, text := range sortedKeys(counts) {
		cidr, ok := o.parseCIDR("spec.block", text)
		switch n := counts[text]; {
		case !ok:
		case !possibleBlock(cidr):
			o.wrong("spec.block."+text, "is no block: it has more than 4,096 addresses")
		case n == 0:
			o.odd("spec.block."+text, "counts nothing")
		case n < 0 || n > maxCount:
			o.wrong("spec.block."+text, "is %d, must be 1 to %d", n, maxCount)
		default:
			h.Counts = append(h.Counts, ipam.HandleCount{Block: cidr, Count: n})
		}
	}
	made := o.moment("metadata.creationTimestamp", o.Metadata.Created)
	if !o.bad {
		o.l.keepHandle(o.at, h, made)
	}
}

// keepHandle keeps a handle, and when it was made unless that is zero.
func (l *Loader) keepHandle(at place, h ipam.HandleState, made time.Time) {
	last := len(l.given) - 1
	if last < 0 || len(l.given[last]) == cap(l.given[last]) {
		l.given = append(l.given, make([]givenHandle, 0, 64<<min(len(l.given), 4)))
		last++
	}
	l.given[last] = append(l.given[last], givenHandle{located[ipam.HandleState]{at, h}, made})
}

// givenHandles brings the handles in one list, and returns when they were made, by id.
func (l *Loader) givenHandles() (made map[string]time.Time) {
	n := 0
	for _, piece := range l.given {
		n += len(piece)
	}
	l.handles, made = make([]located[ipam.HandleState], 0, n), make(map[string]time.Time, n)
	for _, piece := range l.given {
		for i := range piece {
			l.handles = append(l.handles, piece[i].located)
			if !piece[i].made.IsZero() {
				made[piece[i].T.ID] = piece[i].made
			}
		}
	}
	l.given = nil
	return made
}

// maxCount is the most that a handle can count in one block.
const maxCount = 1<<31 - 1

// possibleBlock reports whether a block of this size can exist.
func possibleBlock(cidr netip.Prefix) bool { return cidr.Addr().BitLen()-cidr.Bits() <= 12 }
