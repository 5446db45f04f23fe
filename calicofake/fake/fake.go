package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/projectcalico/calico/libcalico-go/lib/ipam"

	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// Options configures a [Fake]. The zero value has no pools and no reservations, and
// a virtual clock.
type Options struct {
	// Now is the clock. Nil stands for the virtual clock of [Fake.Clock].
	Now func() time.Time

	// Pools and Reservations are what Calico's NewIPAMClient takes: they are called
	// at each operation that needs them. [Pools] and [Reservations] make them of
	// lists. Nil stands for those that are written through [Fake.Resources], at
	// first none. They may use the fake, but not ask it for what they are asked for.
	// What they return is not changed. Their errors are those of the operation.
	Pools        ipam.PoolAccessorInterface
	Reservations ipam.IPReservationInterface

	// Release is the release of Calico whose answers are given, such as "v3.30.4"
	// or "master"; empty stands for [DefaultRelease].
	Release string

	// Hostname stands for the name of the machine, which Calico uses where a
	// request names no host; empty stands for "localhost".
	Hostname string
}

// DefaultRelease is the release of Calico that the library's interface is of.
const DefaultRelease = "v3.28"

// Start is when the virtual clock starts: midnight of the first day of 2026, UTC.
var Start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Fake is a cluster with nothing in it but what IPAM uses. Make one with [New]. It
// is safe for concurrent use, and so is everything that it returns: operations run
// one after the other.
type Fake struct {
	options Options
	clock   *sim.Clock
	hooks   hooks

	// mu guards the cluster. An operation holds it from beginning to end, except
	// while a hook or an accessor runs.
	mu       sync.Mutex
	cluster  *protocol.Cluster
	watchers []watching
	history  []change
	// forgotten is the revision of the newest change that is not in the history
	// any more.
	forgotten uint64
	// entries are the objects of the datastore by resource and name.
	entries map[string]map[string]*entry
	// halfway are the objects of which only the first step of a deletion was done.
	halfway map[protocol.Key]protocol.Object
	// poolsChanged is set when pools were written that the cluster does not have
	// yet; mirrored, once somebody has asked for those of the
	// accessors.
	poolsChanged, mirrored bool
}

// New returns a fake without nodes. It panics if the release is none of Calico's.
func New(o Options) *Fake {
	if o.Release == "" {
		o.Release = DefaultRelease
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	version, err := calico.Parse(o.Release)
	if err != nil {
		panic(fmt.Sprintf("fake: %v", err))
	}
	f := &Fake{options: o, clock: sim.NewClock(Start), cluster: protocol.NewCluster()}
	f.entries, f.halfway = make(map[string]map[string]*entry), make(map[protocol.Key]protocol.Object)
	f.cluster.SetCalico(version)
	if f.options.Now == nil {
		f.options.Now = f.clock.Now
	}
	return f
}

// Clock returns the virtual clock, which [Options].Now replaces.
func (f *Fake) Clock() *sim.Clock { return f.clock }

// Now returns the time by the fake's clock.
func (f *Fake) Now() time.Time { return f.options.Now() }

// SetNode adds a node or replaces the labels of the node called name. AutoAssign
// and EnsureBlock need their node, as in a cluster.
func (f *Fake) SetNode(name string, labels map[string]string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outside().SetNode(sim.Node{Name: name, Labels: labels})
}

// DeleteNode deletes the node called name, and nothing else. It reports whether
// there was one.
func (f *Fake) DeleteNode(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outside().DeleteNode(name)
}

// PutIPAMConfig writes the configuration as a raw edit of the datastore does, with
// what newer releases have and the library's type does not, such as the cooldown.
// The error says what the release does not have.
func (f *Fake) PutIPAMConfig(c sim.Config) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outside().PutIPAMConfig(c)
}

// outside returns a client whose calls no hook sees: edits of a test.
func (f *Fake) outside() *protocol.Client {
	return f.cluster.Client(&access{fake: f}, f.options.Now)
}

// An Operation is one call of the interface: its name, such as "AutoAssign", and
// its arguments without the context. They are the caller's values: not to be
// changed.
type Operation struct {
	Name string
	Args []any
	// Err is what the operation returned; nil while it runs.
	Err error
}

// Call is one call to the datastore, in the form in which ipamsim's recordings
// write it: get, list, create, update or delete, of "block/10.0.0.0/26",
// "affinity/host:node-1/10.0.0.0/26", "handle/ID", "config", "node/NAME" or a list.
type Call struct {
	Verb protocol.Verb
	Key  protocol.Key
}

// hooks has what a test watches and breaks.
type hooks struct {
	mu         sync.Mutex
	before     func(ctx context.Context, op string, args ...any) error
	beforeCall func(ctx context.Context, c Call) error
	operations []Operation
}

// Before sets what is called before each operation, with its name and its
// arguments without the context: ReleaseIPs and GetIPAMConfig may have none. If it
// returns an error the operation does not run, and returns that error. Nil takes it
// off. It may use the fake, and is called for what it does there, too. Operations of
// several goroutines call it at the same time.
func (f *Fake) Before(hook func(ctx context.Context, op string, args ...any) error) {
	f.hooks.mu.Lock()
	defer f.hooks.mu.Unlock()
	f.hooks.before = hook
}

// BeforeCall sets what is called before each datastore call of an operation. If it
// returns an error the call is not made. Calico's ErrorResourceUpdateConflict,
// ErrorResourceDoesNotExist and ErrorResourceAlreadyExists are taken as answers of
// the datastore, so that the operation tries again, say; any other error as a
// datastore that does not answer. Nil takes it off.
//
// It may use the fake: an edit in between is that of another client, and the
// operation goes on with what it has read. The hook is called for the calls of
// operations that it does itself, too. Operations of several goroutines call it at the
// same time.
func (f *Fake) BeforeCall(hook func(ctx context.Context, c Call) error) {
	f.hooks.mu.Lock()
	defer f.hooks.mu.Unlock()
	f.hooks.beforeCall = hook
}

// Operations returns the operations so far, those that failed too, in the order in
// which they began.
func (f *Fake) Operations() []Operation {
	f.hooks.mu.Lock()
	defer f.hooks.mu.Unlock()
	return slices.Clone(f.hooks.operations)
}

// Summary returns how often each operation was called so far.
func (f *Fake) Summary() map[string]int {
	counts := make(map[string]int)
	for _, o := range f.Operations() {
		counts[o.Name]++
	}
	return counts
}

// do runs an operation between its hook and its entry in the log.
func (f *Fake) do(ctx context.Context, access *access, name string, args []any, run func() error) (err error) {
	f.hooks.mu.Lock()
	before, i := f.hooks.before, len(f.hooks.operations)
	f.hooks.operations = append(f.hooks.operations, Operation{Name: name, Args: args})
	f.hooks.mu.Unlock()
	defer func() {
		f.hooks.mu.Lock()
		defer f.hooks.mu.Unlock()
		f.hooks.operations[i].Err = err
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	if before != nil {
		if err := before(ctx, name, args...); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.pull(ctx); err != nil {
		return err
	}
	err = run()
	if err != nil && access.failure != nil {
		return access.failure
	}
	return err
}
