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
// a value of another type than expected, a key that comes twice, a text
// with escapes or beyond ASCII where it is read.

// quickEnvelope is an envelope as it is read. Its parts lie in the text.
type quickEnvelope struct {
	quickJSON
	envelope
	r    *quickReader
	keys keysOnce
}

// A quickReader takes objects apart, one after the other. It remembers texts that many of
// them have.
type quickReader struct {
	shared map[string]string
	room   map[string]string // for attributes
}

func newQuickReader() *quickReader {
	return &quickReader{shared: make(map[string]string), room: make(map[string]string)}
}

// textInto reads a text that comes once.
func (q *quickJSON) textInto(f *field[string], keys *keysOnce, key uint) bool {
	text, ok := q.text()
	f.value, f.given = string(text), true
	return ok && keys.first(key)
}

// sharedInto reads a text that comes once, and in many other objects.
func (r *quickReader) sharedInto(f *field[string], q *quickJSON, keys *keysOnce, key uint) bool {
	text, ok := q.text()
	f.value, f.given = r.share(text), true
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
		return q.r.sharedInto(&q.APIVersion, &q.quickJSON, &q.keys, 0)
	case "kind":
		return q.r.sharedInto(&q.Kind, &q.quickJSON, &q.keys, 1)
	case "metadata":
		return q.keys.first(2) && q.object(q.metadata)
	case "spec":
		return q.rawOnce(3, &q.Spec)
	case "status":
		return q.rawOnce(4, &q.Status)
	case "data":
		return q.rawOnce(5, &q.Data)
	case "items", "name", "nodes":
		return false // rare
	}
	return q.skip(0)
}

func (q *quickEnvelope) metadata(key []byte) bool {
	m := &q.Metadata
	switch string(key) {
	case "name":
		return q.textInto(&m.Name, &q.keys, 6)
	case "namespace":
		return q.r.sharedInto(&m.Namespace, &q.quickJSON, &q.keys, 7)
	case "creationTimestamp":
		return q.textInto(&m.Created, &q.keys, 8)
	case "labels":
		return q.keys.first(9) && q.labels()
	case "annotations":
		return q.rawOnce(10, &m.Annotations)
	case "ownerReferences":
		return q.rawOnce(11, &m.Owners)
	}
	return q.skip(0)
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
	return q.r.texts(&q.quickJSON, labels)
}

// texts reads a map of texts.
func (r *quickReader) texts(q *quickJSON, into map[string]string) bool {
	return q.object(func(key []byte) bool {
		text, ok := q.text()
		k := r.share(key)
		_, twice := into[k]
		if k == ipam.AttrPod || k == "timestamp" { // no two are equal
			into[k] = string(text)
		} else {
			into[k] = r.share(text)
		}
		return ok && !twice && len(key) <= maxText && len(text) <= maxText
	})
}

// share returns a text, one string for all that are equal and among the first that came.
// There are as many of them as a large cluster has nodes, of which every pod names one.
func (r *quickReader) share(text []byte) string {
	const most, longest = 1 << 15, 64
	if s, seen := r.shared[string(text)]; seen {
		return s
	}
	s := string(text)
	if len(r.shared) < most && len(text) <= longest {
		r.shared[s] = s
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
	var o quickObject
	if !l.quick.read(&o, text) || whole && (&quickJSON{rest: text[o.n:]}).goesOn() {
		return 0, o.short
	}
	l.takeQuick(at, &o, text[:o.n], kind, group)
	return o.n, false
}

// quickObject is an object that was read quickly: a handle, or the envelope of any other.
type quickObject struct {
	n        int  // how long its text is
	short    bool // that broke off
	handle   handleRead
	envelope *envelope // nil for a handle
}

// read reads an object from the beginning of a text, if it can.
func (r *quickReader) read(o *quickObject, text []byte) bool {
	if looksLikeHandle(text) {
		if h, ok := readQuickHandle(text); ok {
			o.handle, o.n = h.result(), len(text)-len(h.rest)
			return true
		}
	}
	q := quickEnvelope{quickJSON: quickJSON{rest: text}, r: r}
	ok := q.object(q.entry)
	o.envelope, o.n, o.short = &q.envelope, len(text)-len(q.rest), q.short
	return ok
}

// takeQuick takes an object that was read quickly from that text.
func (l *Loader) takeQuick(at place, o *quickObject, text []byte, kind, group string) {
	if o.envelope == nil {
		l.takeHandle(at, &o.handle)
		return
	}
	l.objectOr(at, o.envelope, nil, text, kind, group)
}

// readAhead reads the parts of an object that is of this kind unless it says otherwise. What
// it cannot read is left to who takes the object.
func (r *quickReader) readAhead(e *envelope, kind string) {
	if e.Kind.given {
		kind = e.Kind.value
	}
	switch kind {
	case "IPAMBlock":
		if spec, ok := r.block(e.Spec); ok {
			e.ahead.block = spec
		}
	case "Pod":
		if pod, ok := r.pod(e.Spec, e.Status); ok {
			e.ahead.pod = pod
		}
	case "Node":
		if status, ok := r.node(e.Status); ok {
			e.ahead.node = status
		}
	}
}

// quickBlock is the spec of a block as it is read.
type quickBlock struct {
	quickJSON
	r    *quickReader
	keys keysOnce
	spec blockSpec
	last []byte // ordinal that a sequence number was read for last
}

// quickBlock reads the spec of a block, or returns false.
func (o *object) quickBlock() (spec *blockSpec, ok bool) {
	return orAhead(o, o.ahead.block, func() (*blockSpec, bool) { return o.l.quick.block(o.Spec) })
}

// orAhead returns a part of an object that was read ahead, or reads it.
func orAhead[T any](o *object, ahead *T, read func() (*T, bool)) (*T, bool) {
	switch {
	case ahead != nil:
		return ahead, true
	case o.l.careful:
		return new(T), false
	}
	return read()
}

func (r *quickReader) block(text []byte) (spec *blockSpec, ok bool) {
	q := quickBlock{quickJSON: quickJSON{rest: text}, r: r}
	ok = q.object(q.entry)
	return &q.spec, ok
}

func (q *quickBlock) entry(key []byte) bool {
	s := &q.spec
	switch string(key) {
	case "affinity":
		return q.r.sharedInto(&s.Affinity, &q.quickJSON, &q.keys, 0)
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
	return q.skip(0)
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
		return q.skip(0)
	})
	q.spec.Attributes.value = append(q.spec.Attributes.value, r)
	return ok
}

// set reads a set of attributes.
func (q *quickBlock) set(s *attributeSet) bool {
	m := q.r.room
	clear(m)
	ok := q.r.texts(&q.quickJSON, m)
	s.set = block.MakeAttrs(m)
	return ok
}

// podParts are the spec and the status of a pod.
type podParts struct {
	spec   podSpec
	status podStatus
}

// quickPod reads the spec and the status of a pod, or returns false.
func (o *object) quickPod() (pod *podParts, ok bool) {
	return orAhead(o, o.ahead.pod, func() (*podParts, bool) { return o.l.quick.pod(o.Spec, o.Status) })
}

func (r *quickReader) pod(spec, status []byte) (pod *podParts, ok bool) {
	pod = new(podParts)
	var keys keysOnce
	q := quickJSON{rest: spec}
	ok = len(spec) == 0 || q.object(func(key []byte) bool {
		switch string(key) {
		case "nodeName":
			return r.sharedInto(&pod.spec.NodeName, &q, &keys, 0)
		case "hostNetwork":
			word := string(q.word())
			pod.spec.HostNetwork.value, pod.spec.HostNetwork.given = word == "true", true
			return keys.first(1) && (word == "true" || word == "false")
		}
		return q.skip(0)
	})
	q = quickJSON{rest: status}
	ok = ok && (len(status) == 0 || q.object(func(key []byte) bool {
		s := &pod.status
		switch string(key) {
		case "phase":
			return r.sharedInto(&s.Phase, &q, &keys, 2)
		case "reason":
			text, ok := q.text()
			s.Reason = word(strings.TrimSpace(r.share(text)))
			return ok && keys.first(3)
		case "podIP":
			return q.textInto(&s.PodIP, &keys, 4)
		case "podIPs":
			s.PodIPs.given = true
			return keys.first(5) && q.list(func() bool { return q.podIP(s) })
		}
		return q.skip(0)
	}))
	return pod, ok
}

// podIP reads one of a pod's addresses.
func (q *quickJSON) podIP(status *podStatus) bool {
	var ip field[string]
	var keys keysOnce
	ok := q.object(func(key []byte) bool {
		if string(key) == "ip" {
			return q.textInto(&ip, &keys, 0)
		}
		return q.skip(0)
	})
	status.PodIPs.value = append(status.PodIPs.value, podIP{ip.value})
	return ok
}

// quickNode reads the status of a node, or returns false.
func (o *object) quickNode() (status *nodeStatus, ok bool) {
	return orAhead(o, o.ahead.node, func() (*nodeStatus, bool) { return o.l.quick.node(o.Status) })
}

func (r *quickReader) node(text []byte) (status *nodeStatus, ok bool) {
	status = new(nodeStatus)
	var keys keysOnce
	q := quickJSON{rest: text}
	ok = q.object(func(key []byte) bool {
		if string(key) != "addresses" {
			return q.skip(0)
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
				return q.skip(0)
			})
			status.Addresses.value = append(status.Addresses.value, nodeAddress{kind.value, address.value})
			return ok
		})
	})
	return status, ok
}
