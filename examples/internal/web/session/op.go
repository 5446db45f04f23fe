package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// The most that a session has, so that every act ends soon.
const (
	maxNodes  = 5000
	maxPods   = 100_000
	maxAtOnce = 20_000 // pods of one act
	maxOps    = 5000
	maxBits   = 52 // of the number of a pool's blocks, which a page can count exactly
)

// Op is one operation of the list that makes a state: an act and its arguments. The
// package's documentation lists them.
type Op struct {
	Do string `json:"do"`

	Nodes     *int    `json:"nodes,omitempty"`
	Pool      string  `json:"pool,omitempty"`
	BlockSize int     `json:"blockSize,omitempty"`
	Calico    string  `json:"calico,omitempty"`
	Pods      string  `json:"pods,omitempty"`
	Name      string  `json:"name,omitempty"`
	Tunnel    *bool   `json:"tunnel,omitempty"`
	Node      string  `json:"node,omitempty"`
	How       string  `json:"how,omitempty"`
	Count     *int    `json:"count,omitempty"`
	Fill      bool    `json:"fill,omitempty"`
	Pod       string  `json:"pod,omitempty"`
	Back      bool    `json:"back,omitempty"`
	Strict    *bool   `json:"strict,omitempty"`
	MaxBlocks *int    `json:"maxBlocks,omitempty"`
	Cooldown  *string `json:"cooldown,omitempty"`

	CIDR         string    `json:"cidr,omitempty"`
	NodeSelector *string   `json:"nodeSelector,omitempty"`
	Disabled     *bool     `json:"disabled,omitempty"`
	Reserved     *[]string `json:"reserved,omitempty"`

	Labels map[string]*string `json:"labels,omitempty"`
	By     string             `json:"by,omitempty"`

	Clients  []Op     `json:"clients,omitempty"`
	Schedule []string `json:"schedule,omitempty"`
}

// An act is a kind of operation.
type act struct {
	needs  []string // the fields that must be there
	may    []string // those that may
	do     func(*world, *Op) error
	begins bool // it makes the cluster: it is the first operation of a list, and only that
}

// acts are all of them, by name.
var acts map[string]act

func init() { // the functions look the acts up themselves
	acts = map[string]act{
		"setup":       {may: []string{"nodes", "pool", "blockSize", "calico", "pods"}, do: (*world).setup, begins: true},
		"load":        {needs: []string{"name"}, do: nil, begins: true},
		"add-node":    {may: []string{"name", "labels", "tunnel"}, do: (*world).addNode},
		"remove-node": {needs: []string{"node"}, may: []string{"how"}, do: (*world).removeNode},
		"label-node":  {needs: []string{"node", "labels"}, do: (*world).labelNode},
		"drain":       {needs: []string{"node"}, do: (*world).drain},
		"undrain":     {needs: []string{"node"}, do: (*world).undrain},
		"add-pods":    {may: []string{"node", "count", "fill"}, do: (*world).addPods},
		"remove-pods": {needs: []string{"node"}, may: []string{"count"}, do: (*world).removePods},
		"remove-pod":  {needs: []string{"pod"}, do: (*world).removePod},
		"scale":       {needs: []string{"count"}, do: (*world).scale},
		"restart":     {needs: []string{"pod"}, may: []string{"back"}, do: (*world).restart},
		"configure":   {may: []string{"strict", "maxBlocks", "cooldown"}, do: (*world).configure},
		"set-pool":    {needs: []string{"name"}, may: []string{"cidr", "blockSize", "nodeSelector", "disabled", "reserved"}, do: (*world).setPool},
		"remove-pool": {needs: []string{"name"}, do: (*world).removePool},
		"advance":     {needs: []string{"by"}, do: (*world).advance},
		"clean":       {do: (*world).clean},
		"slow":        {needs: []string{"clients", "schedule"}, do: (*world).slow},
	}
}

// parseOp reads an operation. Its error names the field.
func parseOp(raw []byte) (*Op, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("an operation is an object such as {\"do\":\"add-pods\",\"count\":1}: %w", plainJSON(err))
	}
	var do string
	if json.Unmarshal(fields["do"], &do) != nil {
		return nil, errors.New("do: want the name of an act, such as \"add-pods\"")
	}
	a, ok := acts[do]
	if !ok {
		return nil, unknown("do", "act", do, slices.Sorted(maps.Keys(acts)))
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "do" && !slices.Contains(a.needs, name) && !slices.Contains(a.may, name) {
			known := slices.Concat(a.needs, a.may)
			if len(known) == 0 {
				return nil, fmt.Errorf("%s: %s has no arguments", name, do)
			}
			return nil, fmt.Errorf("%s: %s has no such argument; it has %s", name, do, strings.Join(known, ", "))
		}
	}
	for _, name := range a.needs {
		if v, ok := fields[name]; !ok || string(v) == "null" {
			return nil, fmt.Errorf("%s: %s needs it", name, do)
		}
	}
	op := new(Op)
	if clients, ok := fields["clients"]; ok {
		var raws []json.RawMessage
		if err := json.Unmarshal(clients, &raws); err != nil {
			return nil, fmt.Errorf("clients: want a list of operations: %w", plainJSON(err))
		}
		for i, raw := range raws {
			client, err := parseOp(raw)
			if err != nil {
				return nil, fmt.Errorf("clients[%d]: %w", i, err)
			}
			op.Clients = append(op.Clients, *client)
		}
		delete(fields, "clients")
		raw, _ = json.Marshal(fields) // of what was read
	}
	if err := json.Unmarshal(raw, op); err != nil {
		return nil, plainJSON(err)
	}
	return op, op.check()
}

// check refuses values that are out of range in any state.
func (op *Op) check() error {
	inRange := func(field string, n *int, from, to int) error {
		if n != nil && (*n < from || *n > to) {
			return fmt.Errorf("%s: %d is out of range: %s to %s", field, *n, thousands(from), thousands(to))
		}
		return nil
	}
	oneOf := func(field, got string, want ...string) error {
		if got != "" && !slices.Contains(want, got) {
			return fmt.Errorf("%s: %q: want %s", field, got, strings.Join(want, " or "))
		}
		return nil
	}
	fewest := 1
	if op.Do == "scale" {
		fewest = 0
	}
	errs := []error{
		inRange("nodes", op.Nodes, 1, maxNodes),
		inRange("count", op.Count, fewest, maxAtOnce),
		inRange("maxBlocks", op.MaxBlocks, 0, 1<<20),
		oneOf("pods", op.Pods, "lab", "none"),
		oneOf("how", op.How, "drained", "gone"),
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if op.Fill && op.Count != nil {
		return errors.New("fill: give either count or fill")
	}
	if op.Calico != "" {
		if _, err := release(op.Calico); err != nil {
			return err
		}
	}
	for field, text := range map[string]string{"pool": op.Pool, "cidr": op.CIDR} {
		if text != "" {
			if _, err := prefix(field, text); err != nil {
				return err
			}
		}
	}
	if op.Do == "configure" && op.Strict == nil && op.MaxBlocks == nil && op.Cooldown == nil {
		return errors.New("configure: give strict, maxBlocks or cooldown")
	}
	if op.Cooldown != nil {
		if _, err := span("cooldown", *op.Cooldown, 0, 20*time.Minute); err != nil {
			return err
		}
	}
	if op.By != "" || op.Do == "advance" {
		if _, err := span("by", op.By, time.Second, 720*time.Hour); err != nil {
			return err
		}
	}
	return nil
}

// release returns the release of Calico of a setup.
func (op *Op) release() (calico.Version, error) {
	if op.Calico == "" {
		return defaultCalico, nil
	}
	return release(op.Calico)
}

// release reads a release of Calico.
func release(text string) (calico.Version, error) {
	v, err := calico.Parse(text)
	if err == nil && !v.Covered() {
		err = errors.New("out of range")
	}
	if err != nil {
		return 0, fmt.Errorf("calico: %q is no release of Calico that is known: want v3.22 to v3.33", text)
	}
	return v, nil
}

// prefix reads the addresses of a pool.
func prefix(field, text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%s: %q is no range of addresses: want one such as 192.168.0.0/16", field, text)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%s: %s begins in the middle of a range: did you mean %s?", field, text, p.Masked())
	}
	return p, nil
}

// span reads a time span of whole seconds.
func span(field, text string, from, to time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %q is no time span: want one such as 30s or 5m, from %s to %s", field, text, brief(from), brief(to))
	case d < from || d > to:
		return 0, fmt.Errorf("%s: %s is out of range: %s to %s", field, text, brief(from), brief(to))
	case d%time.Second != 0:
		return 0, fmt.Errorf("%s: %s: want whole seconds", field, text)
	}
	return d, nil
}

// checkPool refuses a pool that a page cannot count.
func checkPool(spec pool.Spec) error {
	p, err := pool.New(spec)
	if err != nil {
		return plainPool(err)
	}
	if p.BlockBits() > maxBits {
		return fmt.Errorf("blockSize: %s has 2^%d blocks of /%d, too many to draw: at most 2^%d", p.CIDR(), p.BlockBits(), p.BlockSize(), maxBits)
	}
	return nil
}

// plainPool is an error about a pool, with the field first.
func plainPool(err error) error {
	var one *pool.InvalidError
	if !errors.As(err, &one) {
		return err
	}
	return fmt.Errorf("%s: %s: %s", one.Field, one.Value, one.Reason)
}

// plainJSON is an error of package json that names the field first.
func plainJSON(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		want := map[string]string{"int": "a whole number", "bool": "true or false", "string": "a text", "slice": "a list", "map": "an object"}[wrong.Type.Kind().String()]
		if want == "" {
			want = "something else"
		}
		if wrong.Field == "" {
			return fmt.Errorf("want %s, not %s", want, wrong.Value)
		}
		return fmt.Errorf("%s: want %s, not %s", wrong.Field, want, wrong.Value)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("character %d is no JSON: %s", syntax.Offset, syntax.Error())
	}
	return err
}

// arguments reads the arguments of a method; unknown ones are refused.
func arguments[T any](raw []byte) (T, error) {
	var args T
	if len(bytes.TrimSpace(raw)) == 0 {
		return args, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&args)
	if err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return args, fmt.Errorf("%s: there is no such argument", strings.Trim(name, `"`))
		}
		return args, plainJSON(err)
	}
	return args, nil
}
