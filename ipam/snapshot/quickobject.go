package snapshot

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file reads objects as the API server has them, without encoding/json, which takes
// several passes and many times as long. What a dump is full of (blocks, handles, pods and
// nodes) it reads into the same structs; of other objects it takes apart what all share.
// Whatever is not in the usual form is left to encoding/json, which reads it from the start:
// a value of another type than expected, a key that comes twice or in other letters, a text
// with escapes or beyond ASCII where it is read.

// quickEnvelope is an envelope as it is read. Its parts lie in the text.
type quickEnvelope struct {
	quickJSON
	envelope
	l    *Loader
	keys keysOnce
}

// textInto reads a text that comes once.
func (q *quickJSON) textInto(f *field[string], keys *keysOnce, key uint) bool {
	text, ok := q.text()
	f.value, f.given = string(text), true
	return ok && keys.first(key)
}

// sharedInto reads a text that comes once, and in many other objects.
func (l *Loader) sharedInto(f *field[string], q *quickJSON, keys *keysOnce, key uint) bool {
	text, ok := q.text()
	f.value, f.given = l.share(text), true
	return ok && keys.first(key)
}

// rawOnce reads a part that comes once.
func (q *quickEnvelope) rawOnce(key uint, part *rawField) (ok bool) {
	*part, ok = q.raw()
	return ok && q.keys.first(key)
}

func (q *quickEnvelope) entry(key []byte) bool {
	switch string(key) {
	case "apiVersion":
		return q.l.sharedInto(&q.APIVersion, &q.quickJSON, &q.keys, 0)
	case "kind":
		return q.l.sharedInto(&q.Kind, &q.quickJSON, &q.keys, 1)
	case "metadata":
		return q.keys.first(2) && q.object(q.metadata)
	case "spec":
		return q.rawOnce(3, &q.Spec)
	case "status":
		return q.rawOnce(4, &q.Status)
	case "data":
		return q.rawOnce(5, &q.Data)
	}
	return q.other(key, "apiVersion", "kind", "metadata", "spec", "status", "data", "items", "name", "nodes")
}

func (q *quickEnvelope) metadata(key []byte) bool {
	m := &q.Metadata
	switch string(key) {
	case "name":
		return q.textInto(&m.Name, &q.keys, 6)
	case "namespace":
		return q.l.sharedInto(&m.Namespace, &q.quickJSON, &q.keys, 7)
	case "creationTimestamp":
		return q.textInto(&m.Created, &q.keys, 8)
	case "labels":
		return q.keys.first(9) && q.labels()
	case "annotations":
		return q.rawOnce(10, &m.Annotations)
	case "ownerReferences":
		return q.rawOnce(11, &m.Owners)
	}
	return q.other(key, "name", "namespace", "creationTimestamp", "labels", "annotations", "ownerReferences")
}

// labels reads the labels. Of a pod only one counts, which few have.
func (q *quickEnvelope) labels() bool {
	if q.Kind.value == "Pod" {
		ahead := q.quickJSON
		text, ok := ahead.raw()
		if ok && bytes.IndexByte(text, '\\') < 0 && !bytes.Contains(text, []byte(machineLabel)) {
			q.quickJSON = ahead
			return true
		}
	}
	labels := make(map[string]string)
	q.Metadata.Labels = field[map[string]string]{value: labels, given: true}
	return q.l.texts(&q.quickJSON, labels)
}

// texts reads a map of texts.
func (l *Loader) texts(q *quickJSON, into map[string]string) bool {
	return q.object(func(key []byte) bool {
		text, ok := q.text()
		k := l.share(key)
		_, twice := into[k]
		if k == ipam.AttrPod || k == "timestamp" { // no two are equal
			into[k] = string(text)
		} else {
			into[k] = l.share(text)
		}
		return ok && !twice && len(key) <= maxText && len(text) <= maxText
	})
}

// share returns a text, one string for all that are equal and among the first that came.
// There are as many of them as a large cluster has nodes, of which every pod names one.
func (l *Loader) share(text []byte) string {
	const most, longest = 1 << 15, 64
	if s, seen := l.shared[string(text)]; seen {
		return s
	}
	s := string(text)
	if len(l.shared) < most && len(text) <= longest {
		l.shared[s] = s
	}
	return s
}

// quickText reads one object from the beginning of a text, and returns how long it is. It
// returns 0 for one that cannot be read quickly, or does not end where the text does
// though it should, and then it has done nothing; short is that the text breaks off.
func (l *Loader) quickText(at place, text []byte, kind, group string, whole bool) (n int, short bool) {
	if l.careful {
		return 0, false
	}
	if looksLikeHandle(text) {
		if h, ok := l.quickHandle(text); ok && !(whole && h.goesOn()) {
			l.takeHandle(at, &h)
			return len(text) - len(h.rest), false
		}
	}
	q := quickEnvelope{quickJSON: quickJSON{rest: text}, l: l}
	if !q.object(q.entry) || whole && q.goesOn() {
		return 0, q.short
	}
	n = len(text) - len(q.rest)
	l.objectOr(at, &q.envelope, nil, text[:n], kind, group)
	return n, false
}

// quickBlock is the spec of a block as it is read.
type quickBlock struct {
	quickJSON
	l    *Loader
	keys keysOnce
	spec blockSpec
	last []byte // ordinal that a sequence number was read for last
}

// quickBlock reads the spec of a block, or returns false.
func (o *object) quickBlock() (spec *blockSpec, ok bool) {
	q := quickBlock{quickJSON: quickJSON{rest: o.Spec}, l: o.l}
	ok = !o.l.careful && q.object(q.entry)
	return &q.spec, ok
}

func (q *quickBlock) entry(key []byte) bool {
	s := &q.spec
	switch string(key) {
	case "affinity":
		return q.l.sharedInto(&s.Affinity, &q.quickJSON, &q.keys, 0)
	case "affinityClaimTime":
		return q.textInto(&s.ClaimTime, &q.keys, 1)
	case "allocations":
		return q.keys.first(2) && q.ordinals(&s.Allocations)
	case "attributes":
		s.Attributes.given = true
		return q.keys.first(3) && q.list(q.record)
	case "cidr":
		return q.textInto(&s.CIDR, &q.keys, 4)
	case "deleted":
		return q.keys.first(5) && q.isFalse()
	case "sequenceNumber":
		s.Sequence.given = true
		return q.keys.first(6) && q.number(&s.Sequence.value)
	case "sequenceNumberForAllocation":
		return q.keys.first(7) && q.object(q.sequence)
	case "unallocated":
		return q.keys.first(8) && q.ordinals(&s.Unallocated)
	}
	return q.other(key, "affinity", "affinityClaimTime", "allocations", "attributes", "cidr", "deleted", "sequenceNumber", "sequenceNumberForAllocation", "unallocated")
}

// isFalse reads a flag that is false. Others are rare.
func (q *quickJSON) isFalse() bool {
	if q.next('"') {
		return string(q.word()) == "false" && q.next('"')
	}
	return string(q.word()) == "false"
}

// number reads a number.
func (q *quickJSON) number(n *uint64) bool {
	word := q.word()
	if len(word) > 1 && word[0] == '0' || len(word) > 19 {
		return false
	}
	var err error
	*n, err = strconv.ParseUint(string(word), 10, 64)
	return err == nil
}

// ordinals reads ordinals and nulls.
func (q *quickBlock) ordinals(o *ordinals) bool {
	o.given = true
	return q.list(func() bool {
		n, word := free, q.word()
		if string(word) != "null" {
			if !isDigits(word) {
				return false
			}
			n = 0
			for _, b := range word {
				n = 10*n + int(b-'0')
			}
		}
		o.list = append(o.list, n)
		return true
	})
}

// sequence reads the sequence number of one ordinal. They must come in the order of their
// texts, as they do.
func (q *quickBlock) sequence(key []byte) bool {
	ascends := q.last == nil || string(q.last) < string(key)
	q.last = key
	if !isDigits(key) || !ascends {
		return false
	}
	s := sequence{key: string(key)}
	ok := q.number(&s.n)
	q.spec.Sequences.list = append(q.spec.Sequences.list, s)
	return ok
}

// record reads an attribute record.
func (q *quickBlock) record() bool {
	var r attributes
	var keys keysOnce
	ok := q.object(func(key []byte) bool {
		switch string(key) {
		case "handle_id":
			text, ok := q.text()
			r.Handle = field[string]{value: string(text), given: true}
			return ok && keys.first(0)
		case "secondary":
			return keys.first(1) && q.set(&r.Active)
		case "alternateOwnerAttrs":
			return keys.first(2) && q.set(&r.Alternate)
		case "releasedAt":
			return q.textInto(&r.ReleasedAt, &keys, 3)
		}
		return q.other(key, "handle_id", "secondary", "alternateOwnerAttrs", "releasedAt")
	})
	q.spec.Attributes.value = append(q.spec.Attributes.value, r)
	return ok
}

// set reads a set of attributes.
func (q *quickBlock) set(s *attributeSet) bool {
	m := q.l.room
	clear(m)
	ok := q.l.texts(&q.quickJSON, m)
	s.set = block.MakeAttrs(m)
	return ok
}

// quickPod reads the spec and the status of a pod, or returns false.
func (o *object) quickPod() (spec podSpec, status podStatus, ok bool) {
	if o.l.careful {
		return spec, status, false
	}
	var keys keysOnce
	q := quickJSON{rest: o.Spec}
	ok = len(o.Spec) == 0 || q.object(func(key []byte) bool {
		switch string(key) {
		case "nodeName":
			return o.l.sharedInto(&spec.NodeName, &q, &keys, 0)
		case "hostNetwork":
			word := string(q.word())
			spec.HostNetwork.value, spec.HostNetwork.given = word == "true", true
			return keys.first(1) && (word == "true" || word == "false")
		}
		return q.other(key, "nodeName", "hostNetwork")
	})
	q = quickJSON{rest: o.Status}
	ok = ok && (len(o.Status) == 0 || q.object(func(key []byte) bool {
		switch string(key) {
		case "phase":
			return o.l.sharedInto(&status.Phase, &q, &keys, 2)
		case "reason":
			text, ok := q.text()
			status.Reason = word(strings.TrimSpace(o.l.share(text)))
			return ok && keys.first(3)
		case "podIP":
			return q.textInto(&status.PodIP, &keys, 4)
		case "podIPs":
			status.PodIPs.given = true
			return keys.first(5) && q.list(func() bool { return q.podIP(&status) })
		}
		return q.other(key, "phase", "reason", "podIP", "podIPs")
	}))
	return spec, status, ok
}

// podIP reads one of a pod's addresses.
func (q *quickJSON) podIP(status *podStatus) bool {
	var ip field[string]
	var keys keysOnce
	ok := q.object(func(key []byte) bool {
		if string(key) == "ip" {
			return q.textInto(&ip, &keys, 0)
		}
		return q.other(key, "ip")
	})
	status.PodIPs.value = append(status.PodIPs.value, podIP{ip.value})
	return ok
}

// quickNode reads the status of a node, or returns false.
func (o *object) quickNode() (status nodeStatus, ok bool) {
	if o.l.careful {
		return status, false
	}
	var keys keysOnce
	q := quickJSON{rest: o.Status}
	ok = q.object(func(key []byte) bool {
		if string(key) != "addresses" {
			return q.other(key, "addresses")
		}
		status.Addresses.given = true
		return keys.first(0) && q.list(func() bool {
			var kind, address field[string]
			var keys keysOnce
			ok := q.object(func(key []byte) bool {
				switch string(key) {
				case "type":
					return q.textInto(&kind, &keys, 0)
				case "address":
					return q.textInto(&address, &keys, 1)
				}
				return q.other(key, "type", "address")
			})
			status.Addresses.value = append(status.Addresses.value, nodeAddress{kind.value, address.value})
			return ok
		})
	})
	return status, ok
}
