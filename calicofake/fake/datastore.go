package fake

import (
	"context"
	"errors"
	"strconv"

	"github.com/projectcalico/calico/libcalico-go/lib/backend/api"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// Datastore is the datastore of a fake, with the interface of Calico's backends. It
// has blocks, block affinities, handles, the configuration and nodes; of other
// kinds it says that they are not supported. [Fake.Datastore] returns it.
//
// It is the one that the allocator works on: both see what the other writes. Every
// write gives an object a new revision. An update or deletion with a revision that
// is not the object's is an ErrorResourceUpdateConflict; with an empty revision it
// goes through. No hook of the fake sees these calls.
//
// What Calico's types of v3.28 do not have stays as it was in an update: the claim
// time of a block, alternate owners, release times, the type of an affinity's owner.
type Datastore struct{ fake *Fake }

var _ api.Client = (*Datastore)(nil)

// Datastore returns the datastore.
func (f *Fake) Datastore() *Datastore { return &Datastore{f} }

// Create adds an object; ErrorResourceAlreadyExists if there is one of its key.
func (d *Datastore) Create(ctx context.Context, kv *model.KVPair) (*model.KVPair, error) {
	return d.write(ctx, "Create", protocol.Create, kv)
}

// Update replaces an object: ErrorResourceDoesNotExist if there is none,
// ErrorResourceUpdateConflict if it has another revision.
func (d *Datastore) Update(ctx context.Context, kv *model.KVPair) (*model.KVPair, error) {
	return d.write(ctx, "Update", protocol.Update, kv)
}

// Apply adds or replaces an object, whatever its revision.
func (d *Datastore) Apply(ctx context.Context, kv *model.KVPair) (*model.KVPair, error) {
	return d.write(ctx, "Apply", protocol.Apply, kv)
}

// DeleteKVP deletes the object of the pair's key and revision, and returns it.
func (d *Datastore) DeleteKVP(ctx context.Context, kv *model.KVPair) (*model.KVPair, error) {
	return d.Delete(ctx, kv.Key, kv.Revision)
}

// Delete deletes the object of that key and revision, and nothing else, and returns
// it.
func (d *Datastore) Delete(ctx context.Context, key model.Key, revision string) (*model.KVPair, error) {
	defer d.lock()()
	there, err := d.look(ctx, "Delete", key)
	if err != nil {
		return nil, err
	}
	if err := d.run(protocol.Delete, key, withRevision(there.Copy(), revision)); err != nil {
		return nil, err
	}
	return pairOf(there), nil
}

// Get returns the object of a key; ErrorResourceDoesNotExist if there is none. It
// ignores the revision.
func (d *Datastore) Get(ctx context.Context, key model.Key, _ string) (*model.KVPair, error) {
	defer d.lock()()
	there, err := d.look(ctx, "Get", key)
	if err != nil {
		return nil, err
	}
	return pairOf(there), nil
}

// look returns the object of a key, which the operation needs.
func (d *Datastore) look(ctx context.Context, operation string, key model.Key) (protocol.Object, error) {
	o := keyOf(key)
	if o == nil {
		return nil, unsupported(operation, key)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	there := d.fake.cluster.Store().Look(o.Key())
	if there == nil {
		return nil, failure(protocol.Missing, key, o)
	}
	return there, nil
}

// List returns the objects of a list in the order of their names. It ignores the
// revision.
func (d *Datastore) List(ctx context.Context, list model.ListInterface, _ string) (*model.KVPairList, error) {
	defer d.lock()()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	objects, err := d.list(list)
	if err != nil {
		return nil, err
	}
	out := &model.KVPairList{Revision: revision(d.fake.cluster.Store().Revision())}
	for _, o := range objects {
		out.KVPairs = append(out.KVPairs, pairOf(o))
	}
	return out, nil
}

// EnsureInitialized does nothing: the datastore is ready.
func (d *Datastore) EnsureInitialized() error { return nil }

// Clean deletes all blocks, affinities and handles, and the configuration. Nodes
// stay.
func (d *Datastore) Clean() error {
	defer d.lock()()
	store := d.fake.cluster.Store()
	for _, key := range []protocol.Key{protocol.BlocksKey, protocol.AffinitiesKey, protocol.HandlesKey} {
		for _, o := range append([]protocol.Object(nil), store.LookList(key)...) {
			d.fake.write(protocol.Request{Verb: protocol.Delete, Key: o.Key(), Object: o.Copy()})
		}
	}
	if o := store.Look((&protocol.Config{}).Key()); o != nil {
		d.fake.write(protocol.Request{Verb: protocol.Delete, Key: o.Key(), Object: o.Copy()})
	}
	return nil
}

// Close does nothing.
func (d *Datastore) Close() error { return nil }

func (d *Datastore) lock() (unlock func()) { d.fake.mu.Lock(); return d.fake.mu.Unlock }

func (d *Datastore) write(ctx context.Context, operation string, verb protocol.Verb, kv *model.KVPair) (*model.KVPair, error) {
	key := keyOf(kv.Key)
	if key == nil {
		return nil, unsupported(operation, kv.Key)
	}
	defer d.lock()()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	there := d.fake.cluster.Store().Look(key.Key())
	o, err := objectOf(kv, there)
	if err != nil {
		return nil, err
	}
	if a, ok := o.(*protocol.Affinity); ok && a.Created.IsZero() {
		a.Created = d.fake.options.Now().UTC()
	}
	if there != nil {
		o.Metadata().Revision = there.Metadata().Revision // for an empty one
	}
	if err := d.run(verb, kv.Key, withRevision(o, kv.Revision)); err != nil {
		return nil, err
	}
	return pairOf(d.fake.cluster.Store().Look(o.Key())), nil
}

// run carries out a request.
func (d *Datastore) run(verb protocol.Verb, key model.Key, o protocol.Object) error {
	out := d.fake.write(protocol.Request{Verb: verb, Key: o.Key(), Object: o})
	return failure(out.Result, key, o)
}

// withRevision gives the object a revision, unless that is empty.
func withRevision(o protocol.Object, revision string) protocol.Object {
	if revision == "" {
		return o
	}
	n, err := strconv.ParseUint(revision, 10, 64)
	if err != nil {
		n = 0 // no object's
	}
	o.Metadata().Revision = n
	return o
}

// list returns the objects of a list.
func (d *Datastore) list(list model.ListInterface) ([]protocol.Object, error) {
	key, match := listOf(list)
	if match == nil {
		return nil, unsupported("List", list)
	}
	var out []protocol.Object
	for _, o := range d.fake.cluster.Store().LookList(key) {
		if match(o) {
			out = append(out, o)
		}
	}
	return out, nil
}

// listOf returns the key of a list and what is in it; match is nil for lists that
// IPAM does not have.
func listOf(list model.ListInterface) (key protocol.Key, match func(protocol.Object) bool) {
	of := func(version int, is4 bool) bool { return version == 0 || version == 4 && is4 || version == 6 && !is4 }
	switch l := list.(type) {
	case model.BlockListOptions:
		return protocol.BlocksKey, func(o protocol.Object) bool {
			b, ok := o.(*protocol.Block)
			return ok && of(l.IPVersion, b.CIDR.Addr().Is4())
		}
	case model.BlockAffinityListOptions:
		return protocol.AffinitiesKey, func(o protocol.Object) bool {
			a, ok := o.(*protocol.Affinity)
			return ok && (l.Host == "" || l.Host == a.Owner.Name) && of(l.IPVersion, a.CIDR.Addr().Is4())
		}
	case model.IPAMHandleListOptions:
		return protocol.HandlesKey, func(o protocol.Object) bool { _, ok := o.(*protocol.Handle); return ok }
	}
	return "", nil
}

// failure returns the error of a result in Calico's types, with the text of
// Kubernetes inside.
func failure(r protocol.Result, key model.Key, o protocol.Object) error {
	resource, name := resourceOf(o)
	switch r {
	case protocol.OK:
		return nil
	case protocol.Exists:
		return cerrors.ErrorResourceAlreadyExists{Err: kerrors.NewAlreadyExists(resource, name), Identifier: key}
	case protocol.Missing:
		return cerrors.ErrorResourceDoesNotExist{Err: kerrors.NewNotFound(resource, name), Identifier: key}
	case protocol.Conflict:
		modified := errors.New("the object has been modified; please apply your changes to the latest version and try again")
		return cerrors.ErrorResourceUpdateConflict{Err: kerrors.NewConflict(resource, name, modified), Identifier: key}
	}
	return cerrors.ErrorDatastoreError{Err: protocol.ErrUnavailable, Identifier: key}
}

// group is the API group of Calico's resources in a cluster.
const group = "crd.projectcalico.org"

// The resources that are not in protocol's datastore.
const (
	poolsResource        = "ippools"
	reservationsResource = "ipreservations"
)

// resourceOf returns the Kubernetes resource and the name of an object.
func resourceOf(o protocol.Object) (resource schema.GroupResource, name string) {
	plural := "ipamconfigs"
	switch o := o.(type) {
	case *protocol.Block:
		plural = "ipamblocks"
	case *protocol.Affinity:
		plural = "blockaffinities"
	case *protocol.Handle:
		plural = "ipamhandles"
	case *protocol.Node:
		return schema.GroupResource{Resource: "nodes"}, o.Name
	case *stored:
		plural = o.resource
	}
	return schema.GroupResource{Group: group, Resource: plural}, nameOf(o)
}

func unsupported(operation string, identifier any) error {
	return cerrors.ErrorOperationNotSupported{Operation: operation, Identifier: identifier, Reason: "the fake has no such objects"}
}
