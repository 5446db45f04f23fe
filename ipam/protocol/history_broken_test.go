package protocol

import (
	"errors"
	"testing"

	"github.com/ipamsim/ipamsim/internal/history"
	"github.com/ipamsim/ipamsim/internal/property"
)

// A faultyStore datastore changes requests before they are carried out and answers
// before they are given. Either may be nil.
type faultyStore struct {
	*Store
	before func(*Request)
	after  func(Request, *Response)
}

func (f faultyStore) Do(r Request) Response {
	if f.before != nil {
		f.before(&r)
	}
	answer := f.Store.Do(r)
	if f.after != nil {
		f.after(r, &answer)
	}
	return answer
}

// brokenStores are datastores on which Calico's clients cannot work.
var brokenStores = map[string]func(*Store) Access{
	"skips the revision check": func(s *Store) Access {
		return faultyStore{Store: s, before: func(r *Request) {
			if there := s.objects[r.Key]; there != nil && (r.Verb == Update || r.Verb == Delete) {
				r.Object = r.Object.Copy()
				r.Object.Metadata().Revision = there.Metadata().Revision
			}
		}}
	},
	"skips the revision check of deletions": func(s *Store) Access {
		return faultyStore{Store: s, before: func(r *Request) {
			if there := s.objects[r.Key]; there != nil && r.Verb == Delete {
				r.Object = there.Copy()
			}
		}}
	},
	"overwrites what it should create": func(s *Store) Access {
		return faultyStore{Store: s, before: func(r *Request) {
			if r.Verb == Create {
				r.Verb = Apply
			}
		}}
	},
	"answers with what a block was": func(s *Store) Access {
		was := make(map[Key]Object)
		gets := 0
		return faultyStore{Store: s, before: func(r *Request) {
			if b, ok := s.objects[r.Key].(*Block); ok && r.Verb == Update {
				was[r.Key] = b
			}
		}, after: func(r Request, answer *Response) {
			if old := was[r.Key]; old != nil && r.Verb == Get {
				if gets++; gets%5 == 0 {
					answer.Object = old.Copy()
				}
			}
		}}
	},
	"loses a write": func(s *Store) Access {
		writes := 0
		return faultyStore{Store: s, before: func(r *Request) {
			if _, ok := r.Object.(*Block); ok && r.Verb == Update {
				if writes++; writes%10 == 0 {
					r.Object = s.objects[r.Key]
				}
			}
		}}
	},
	"repeats a block's numbers": func(s *Store) Access {
		first := make(map[Key]uint64)
		return faultyStore{Store: s, after: func(r Request, answer *Response) {
			b, ok := answer.Object.(*Block)
			if !ok || r.Verb != Create {
				return
			}
			if first[r.Key] == 0 {
				first[r.Key] = b.Sequence
			}
			b.Sequence = first[r.Key]
			s.objects[r.Key].(*Block).Sequence = b.Sequence
		}}
	},
}

// TestHistoriesRejects: no order explains the answers to clients of a broken
// datastore.
func TestHistoriesRejects(t *testing.T) {
	for name, access := range brokenStores {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error {
				c, err := crowdOf(uint64(src.Pick("seed", 1<<30)), access)
				if err != nil {
					return err
				}
				err = c.run(300)
				if v := new(history.Violation); err != nil && !errors.As(err, &v) {
					t.Errorf("rejected for another reason: %v", err)
				}
				return err
			})
		})
	}
}
