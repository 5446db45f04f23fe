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
	revision uint64 // of the datastore after it
	old, new *entry // nil if there was none, or is none
}

// tell notes a change and tells the watchers. The fake is locked.
func (f *Fake) tell(old, now *entry) {
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

// watching is a watch of whatever events.
type watching interface{ add(c change) }

// watcher is a watch. Its events wait in a queue of any length, so that no operation
// waits for a test.
type watcher[E any] struct {
	// event returns the event of a change, if it is one of the watch's.
	event  func(c change) (e E, ok bool)
	events chan E
	stop   context.CancelFunc
	wake   chan struct{} // has room for one

	mu         sync.Mutex
	queue      []E
	terminated bool
}

func newWatcher[E any](event func(c change) (E, bool)) *watcher[E] {
	return &watcher[E]{event: event, events: make(chan E), wake: make(chan struct{}, 1)}
}

// since adds the changes since a revision, as a list returned it. The error says
// that they are not known any more.
func (w *watcher[E]) since(f *Fake, text string) error {
	from, err := strconv.ParseUint(text, 10, 64)
	if err != nil || from < f.forgotten {
		return kerrors.NewResourceExpired("too old resource version: " + text)
	}
	for _, c := range f.history {
		if c.revision > from {
			w.add(c)
		}
	}
	return nil
}

// start makes the watch one of the fake's, until the context ends. The fake is
// locked.
func (w *watcher[E]) start(ctx context.Context, f *Fake) {
	f.watchers = append(f.watchers, w)
	ctx, w.stop = context.WithCancel(ctx)
	go w.run(ctx, f)
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
	w := newWatcher(func(c change) (api.WatchEvent, bool) { return pairEvent(c, match) })
	if options.Revision == "" {
		for _, o := range f.cluster.Store().LookList(key) {
			w.add(change{new: &entry{object: o}})
		}
	} else if err := w.since(f, options.Revision); err != nil {
		return nil, err
	}
	w.start(ctx, f)
	return w, nil
}

// pairEvent returns the event of a change in Calico's form.
func pairEvent(c change, match func(protocol.Object) bool) (e api.WatchEvent, ok bool) {
	if !c.old.gone() && match(c.old.object) {
		e.Type, e.Old = api.WatchDeleted, pairOf(c.old.object)
	}
	if !c.new.gone() && match(c.new.object) {
		if e.Type = api.WatchAdded; e.Old != nil {
			e.Type = api.WatchModified
		}
		e.New = pairOf(c.new.object)
	}
	return e, e.Type != ""
}

// add adds the event of a change, if it is one of the watch's.
func (w *watcher[E]) add(c change) {
	if e, ok := w.event(c); ok {
		w.put(e)
	}
}

// put adds an event.
func (w *watcher[E]) put(e E) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, e)
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// run moves events from the queue to the channel until the watch ends.
func (w *watcher[E]) run(ctx context.Context, f *Fake) {
	defer func() {
		f.mu.Lock()
		f.watchers = slices.DeleteFunc(f.watchers, func(other watching) bool { return other == w })
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
func (w *watcher[E]) Stop() { w.stop() }

// ResultChan returns the events. It is closed when the watch has ended.
func (w *watcher[E]) ResultChan() <-chan E { return w.events }

// HasTerminated reports whether the watch has ended.
func (w *watcher[E]) HasTerminated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terminated
}
