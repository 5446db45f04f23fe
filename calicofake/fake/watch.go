package fake

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/projectcalico/calico/libcalico-go/lib/backend/api"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	kerrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// maxHistory is how many changes a watch can begin before.
const maxHistory = 10_000

// change is one write of the datastore.
type change struct {
	revision uint64          // of the datastore after it
	old, new protocol.Object // nil if there was none, or is none
}

// tell notes a change and tells the watchers. The fake is locked.
func (f *Fake) tell(old, now protocol.Object) {
	if old == nil && now == nil {
		return
	}
	c := change{f.cluster.Store().Revision(), old, now}
	f.history = append(f.history, c)
	if len(f.history) > maxHistory {
		f.forgotten = f.history[0].revision
		f.history = f.history[1:]
	}
	for _, w := range f.watchers {
		w.add(c)
	}
}

// watcher is a watch of one list. Its events wait in a queue of any length, so that
// no operation waits for a test.
type watcher struct {
	match  func(protocol.Object) bool
	events chan api.WatchEvent
	stop   context.CancelFunc
	wake   chan struct{} // has room for one

	mu         sync.Mutex
	queue      []api.WatchEvent
	terminated bool
}

// Watch returns the changes of a list's objects from a revision on, as a list
// returned it. With an empty revision it begins with the objects that there are, as
// added. A revision too long ago is an error of Kubernetes' "resource expired". The
// watch ends with Stop or the context.
func (d *Datastore) Watch(ctx context.Context, list model.ListInterface, options api.WatchOptions) (api.WatchInterface, error) {
	key, match := listOf(list)
	if match == nil {
		return nil, unsupported("Watch", list)
	}
	defer d.lock()()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := d.fake
	w := &watcher{match: match, events: make(chan api.WatchEvent), wake: make(chan struct{}, 1)}
	if options.Revision == "" {
		for _, o := range f.cluster.Store().LookList(key) {
			w.add(change{new: o})
		}
	} else {
		from, err := strconv.ParseUint(options.Revision, 10, 64)
		if err != nil || from < f.forgotten {
			return nil, kerrors.NewResourceExpired("too old resource version: " + options.Revision)
		}
		for _, c := range f.history {
			if c.revision > from {
				w.add(c)
			}
		}
	}
	f.watchers = append(f.watchers, w)
	ctx, w.stop = context.WithCancel(ctx)
	go w.run(ctx, f)
	return w, nil
}

// add adds the event of a change, if it is one of the list's.
func (w *watcher) add(c change) {
	var e api.WatchEvent
	if c.old != nil && w.match(c.old) {
		e.Type, e.Old = api.WatchDeleted, pairOf(c.old)
	}
	if c.new != nil && w.match(c.new) {
		if e.Type = api.WatchAdded; e.Old != nil {
			e.Type = api.WatchModified
		}
		e.New = pairOf(c.new)
	}
	if e.Type == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, e)
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// run moves events from the queue to the channel until the watch ends.
func (w *watcher) run(ctx context.Context, f *Fake) {
	defer func() {
		f.mu.Lock()
		f.watchers = slices.DeleteFunc(f.watchers, func(other *watcher) bool { return other == w })
		f.mu.Unlock()
		w.mu.Lock()
		w.terminated = true
		w.mu.Unlock()
		close(w.events)
	}()
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, e := range queue {
			select {
			case w.events <- e:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

// Stop ends the watch.
func (w *watcher) Stop() { w.stop() }

// ResultChan returns the events. It is closed when the watch has ended.
func (w *watcher) ResultChan() <-chan api.WatchEvent { return w.events }

// HasTerminated reports whether the watch has ended.
func (w *watcher) HasTerminated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terminated
}
