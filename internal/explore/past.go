package explore

import (
	"errors"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// past has the earlier answers to reads.
type past struct {
	store *protocol.Store
	// The answers to a read of each key before each write, the oldest first. They
	// never change.
	answers map[protocol.Key][]protocol.Response
}

var errTooOld = errors.New("it was written fewer times")

// remember keeps the answers to reads before a write. The function that it returns
// undoes this, for a write that did not happen.
func (p *past) remember(write protocol.Request) (forget func()) {
	keys := []protocol.Key{write.Key}
	switch o := write.Object.(type) {
	case *protocol.Block:
		keys = append(keys, protocol.BlocksKey)
	case *protocol.Affinity:
		keys = append(keys, protocol.AffinitiesKey, protocol.OwnerKey(o.Owner, o.CIDR.Addr().Is4()))
	case *protocol.Handle:
		keys = append(keys, protocol.HandlesKey)
	}
	for _, key := range keys {
		p.answers[key] = append(p.answers[key], p.now(key))
	}
	return func() {
		for _, key := range keys {
			p.answers[key] = p.answers[key][:len(p.answers[key])-1]
		}
	}
}

// now returns the present answer to a read of the key.
func (p *past) now(key protocol.Key) protocol.Response {
	if isList(key) {
		return protocol.Response{Result: protocol.OK, List: p.store.LookList(key)}
	}
	if o := p.store.Look(key); o != nil {
		return protocol.Response{Result: protocol.OK, Object: o}
	}
	return protocol.Response{Result: protocol.Missing}
}

// has reports whether there is an answer from before the last back writes.
func (p *past) has(key protocol.Key, back int) bool { return len(p.answers[key]) >= back }

// answer returns the answer to a read from before the last back writes.
func (p *past) answer(read protocol.Request, back int) (protocol.Response, error) {
	if read.Verb != protocol.Get && read.Verb != protocol.List {
		return protocol.Response{}, errNoRead
	}
	if !p.has(read.Key, back) {
		return protocol.Response{}, errTooOld
	}
	all := p.answers[read.Key]
	a := all[len(all)-back]
	if a.Object != nil {
		a.Object = a.Object.Copy()
	}
	return a, nil
}

// isList reports whether the key is that of a list.
func isList(key protocol.Key) bool {
	switch key {
	case protocol.BlocksKey, protocol.HandlesKey, protocol.AffinitiesKey:
		return true
	}
	return strings.HasPrefix(string(key), "affinities/")
}
