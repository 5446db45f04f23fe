package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file reads clusters that keep their state in etcd: what etcdctl get prints
// of the keys under /calico, and what calicoctl datastore migrate export writes. The
// values are the specs of the resources, without kind and name.

// isEtcd reports whether a text consists of keys and values of etcd, or of values
// alone, one a line.
func isEtcd(r *bufio.Reader) bool {
	head, _ := r.Peek(64 << 10)
	if bytes.HasPrefix(head, []byte("/calico/")) {
		return true
	}
	line, _, whole := bytes.Cut(head, newline)
	var top map[string]json.RawMessage
	if !whole || decode(line, &top) != nil {
		return false
	}
	_, hasKind := top["kind"]
	_, hasItems := top["items"]
	return len(top) > 0 && !hasKind && !hasItems
}

// etcd reads keys and values, or values alone.
func (l *Loader) etcd(r io.Reader, line int) error {
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 0, 64<<10), maxObject)
	key, keyLine := "", 0
	var value []byte
	end := func() {
		if key != "" {
			l.etcdEntry(l.here(keyLine), key, bytes.TrimSpace(value))
		}
		key, value = "", value[:0]
	}
	for ; scan.Scan(); line++ {
		text := bytes.TrimRight(scan.Bytes(), "\r")
		switch {
		case bytes.HasPrefix(text, []byte("/calico/")):
			end()
			key, keyLine = string(text), line
		case key != "":
			value = append(append(value, text...), '\n')
		case len(bytes.TrimSpace(text)) == 0:
		case text[0] == '{' && json.Valid(text):
			if at := l.here(line); bytes.Contains(text, []byte(`"kind"`)) {
				l.document(at, bytes.Clone(text))
			} else if !l.shape(at, bytes.Clone(text), 0) {
				l.skipped[etcdValue]++
			}
		case text[0] == '{':
			return &syntaxError{line, errors.New("is no whole JSON value: the file is cut off, or not what etcdctl get --prefix /calico --print-value-only prints")}
		default:
			l.skipped[etcdValue]++
		}
	}
	if scan.Err() == nil {
		end()
	}
	if errors.Is(scan.Err(), bufio.ErrTooLong) {
		return &syntaxError{line, errTooLarge}
	}
	return scan.Err()
}

// etcdValue is what values of etcd that are not read are counted as.
const etcdValue = "value of etcd"

// etcdEntry reads the value of a key.
func (l *Loader) etcdEntry(at place, key string, value []byte) {
	parts := strings.Split(strings.TrimPrefix(key, "/calico/"), "/")
	last := parts[len(parts)-1]
	has := func(pattern string) bool { // * is any part
		want := strings.Split(pattern, "/")
		for i := range want {
			if len(want) != len(parts) || want[i] != "*" && want[i] != parts[i] {
				return false
			}
		}
		return true
	}
	kind, spec := "", value
	switch {
	case has("ipam/v2/assignment/*/block/*"):
		kind, last = "IPAMBlock", affinity.CIDRName(cidrOfKey(last))
	case has("ipam/v2/host/*/*/block/*"), has("ipam/v2/virtual/*/*/block/*"):
		kind = "BlockAffinity"
		cidr := cidrOfKey(last)
		last = affinity.Name(parts[3], cidr)
		var given struct {
			State   word `json:"state"`
			Deleted bool `json:"deleted"`
		}
		loose(value, &given)
		if given.State == "" {
			given.State = word(affinity.Confirmed.String()) // so it was written before there were states
		}
		spec, _ = json.Marshal(map[string]any{"cidr": cidr.String(), "node": parts[3], "state": string(given.State), "type": parts[2], "deleted": given.Deleted})
	case has("ipam/v2/handle/*"):
		kind = "IPAMHandle"
	case has("ipam/v2/config"):
		kind, last, spec = "IPAMConfig", "default", configOfEtcd(value)
	case strings.HasPrefix(key, "/calico/resources/v3/projectcalico.org/"):
		kind = "" // the value says
	default:
		l.skipped[etcdValue]++
		return
	}
	if !json.Valid(spec) {
		l.problemAt(at, fmt.Sprintf("the value of %s is no JSON, or the file is cut off", quote(key)))
		return
	}
	if kind == "" {
		l.objectText(at, value, "", "")
		return
	}
	l.spec(at, kind, last, spec)
}

// spec reads an object of which there are only kind, name and spec.
func (l *Loader) spec(at place, kind, name string, spec []byte) {
	e := envelope{Spec: spec}
	e.Metadata.Name = field[string]{value: name, given: true}
	l.object(at, &e, nil, kind, groupV1)
}

// configOfEtcd returns the spec of the configuration. In etcd two fields have other
// names, and what is false is not written.
func configOfEtcd(value []byte) []byte {
	var given map[string]json.RawMessage
	if decode(value, &given) != nil {
		return value
	}
	for old, name := range map[string]string{"strict_affinity": "strictAffinity", "auto_allocate_blocks": "autoAllocateBlocks"} {
		if text, is := given[old]; is {
			given[name] = text
		} else if given[name] == nil {
			given[name] = json.RawMessage("false")
		}
	}
	out, _ := json.Marshal(given)
	return out
}

// maxShapes is how deep objects without a kind are searched.
const maxShapes = 8

// shape reads a JSON value that has no kind by its fields: a value of etcd, or what
// holds such. It reports whether there was anything to read.
func (l *Loader) shape(at place, text []byte, depth int) bool {
	if depth > maxShapes || len(text) == 0 {
		return false
	}
	if text[0] == '[' {
		var list []json.RawMessage
		_ = decode(text, &list)
		read := false
		for _, value := range list {
			read = l.shape(at, value, depth+1) || read
		}
		return read
	}
	var top map[string]json.RawMessage
	if text[0] != '{' || decode(text, &top) != nil {
		return false
	}
	has := func(keys ...string) bool {
		for _, key := range keys {
			if top[key] == nil {
				return false
			}
		}
		return true
	}
	switch {
	case has("kind") && depth > 0:
		l.objectText(at, text, "", "")
	case has("kind"):
		return false
	case has("kvs"): // etcdctl -w json, in base64
		var kvs []struct {
			Key   []byte `json:"key"`
			Value []byte `json:"value"`
		}
		if decode(top["kvs"], &kvs) != nil {
			return false
		}
		for _, kv := range kvs {
			l.etcdEntry(at, string(kv.Key), kv.Value)
		}
	case has("cidr", "allocations"):
		cidr, _ := netip.ParsePrefix(textOf(top["cidr"]))
		l.spec(at, "IPAMBlock", affinity.CIDRName(cidr), text)
	case has("handleID", "block"):
		l.spec(at, "IPAMHandle", textOf(top["handleID"]), text)
	case has("strict_affinity"), has("auto_allocate_blocks"):
		l.spec(at, "IPAMConfig", "default", configOfEtcd(text))
	case has("state", "cidr") && (has("node") || has("host")):
		if !has("node") {
			top["node"] = top["host"]
		}
		spec, _ := json.Marshal(top)
		cidr, _ := netip.ParsePrefix(textOf(top["cidr"]))
		l.spec(at, "BlockAffinity", affinity.Name(textOf(top["node"]), cidr), spec)
	case has("state") && len(top) <= 3: // its key says whose and of what it is
		l.objects++
		l.known++
		l.keyless++
	default:
		read := false
		for _, key := range sortedKeys(top) {
			if key != "Key" && key != "key" {
				read = l.shape(at, top[key], depth+1) || read
			}
		}
		return read
	}
	return true
}

// affinitiesOfBlocks makes the affinities that came without their keys: those of the
// blocks' owners.
func (l *Loader) affinitiesOfBlocks() {
	if l.keyless == 0 {
		return
	}
	have := make(map[claimKey]bool)
	for i := range l.affinities {
		have[claimKey{l.affinities[i].T.Owner, l.affinities[i].T.CIDR}] = true
	}
	for i := range l.blocks {
		b := &l.blocks[i].T
		if !b.Owner.IsZero() && !have[claimKey{b.Owner, b.CIDR}] {
			l.affinities = append(l.affinities, located[ipam.AffinityState]{l.blocks[i].at, ipam.AffinityState{Owner: b.Owner, CIDR: b.CIDR, State: affinity.Confirmed}})
		}
	}
	l.problems = append(l.problems, &Problem{File: l.files[0], Kind: kindUnreadable, Harmless: true, Reason: fmt.Sprintf(
		"%s came without the key, which says whose and of which block; every owner of a block is taken to have a confirmed one. etcdctl get --prefix /calico, without --print-value-only, prints the keys, too",
		plural(l.keyless, "affinity", "affinities"))})
}
