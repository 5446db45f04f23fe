package fake

import (
	"maps"
	"net/netip"
	"reflect"
	"strings"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	libapiv3 "github.com/projectcalico/calico/libcalico-go/lib/apis/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// Object is an object as an API server has it: a [libapiv3.IPAMBlock],
// [libapiv3.BlockAffinity], [libapiv3.IPAMHandle], [libapiv3.IPAMConfig],
// [v3.IPPool], [v3.IPReservation] or [corev1.Node]. All but the node are of the group
// crd.projectcalico.org/v1 in a cluster.
type Object interface {
	runtime.Object
	metav1.Object
}

// Kind is a kind of [Object].
type Kind struct {
	schema.GroupVersionKind
	Plural string // the resource, such as ippools
	// New returns an empty object of the kind.
	New func() Object

	list runtime.Object
}

// resource returns the group and the resource, for errors.
func (k *Kind) resource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.Plural}
}

var kinds = []Kind{
	calicoKind("BlockAffinity", "blockaffinities", func() Object { return new(libapiv3.BlockAffinity) }, &libapiv3.BlockAffinityList{}),
	calicoKind("IPAMBlock", "ipamblocks", func() Object { return new(libapiv3.IPAMBlock) }, &libapiv3.IPAMBlockList{}),
	calicoKind("IPAMConfig", "ipamconfigs", func() Object { return new(libapiv3.IPAMConfig) }, &libapiv3.IPAMConfigList{}),
	calicoKind("IPAMHandle", "ipamhandles", func() Object { return new(libapiv3.IPAMHandle) }, &libapiv3.IPAMHandleList{}),
	calicoKind("IPPool", poolsResource, func() Object { return new(v3.IPPool) }, &v3.IPPoolList{}),
	calicoKind("IPReservation", reservationsResource, func() Object { return new(v3.IPReservation) }, &v3.IPReservationList{}),
	{corev1.SchemeGroupVersion.WithKind("Node"), "nodes", func() Object { return new(corev1.Node) }, &corev1.NodeList{}},
}

func calicoKind(kind, plural string, object func() Object, list runtime.Object) Kind {
	return Kind{schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind}, plural, object, list}
}

// Kinds returns the kinds, Calico's in the order of their names and then the node.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

// AddToScheme adds the kinds and their lists to a scheme, and so does for Calico's
// what its library has no function for. controller-runtime's clients need it.
func AddToScheme(s *runtime.Scheme) error {
	for i := range kinds {
		k := &kinds[i]
		s.AddKnownTypeWithName(k.GroupVersionKind, k.New())
		s.AddKnownTypeWithName(k.GroupVersion().WithKind(k.Kind+"List"), k.list)
		metav1.AddToGroupVersion(s, k.GroupVersion())
	}
	return nil
}

// kindFor returns the kind of an object by its Go type; nil if it is none of them.
func kindFor(o Object) *Kind {
	for i := range kinds {
		if reflect.TypeOf(kinds[i].New()) == reflect.TypeOf(o) {
			return &kinds[i]
		}
	}
	return nil
}

// stored is an object that the allocator does not keep in its datastore: a pool or a
// reservation. The value never changes.
type stored struct {
	protocol.Meta
	resource, name string
	value          Object
}

func (s *stored) Key() protocol.Key     { return protocol.Key(s.resource + "/" + s.name) }
func (s *stored) Copy() protocol.Object { c := *s; return &c }

// apiObject returns an entry as the API server has it, at a revision.
func (k *Kind) apiObject(e *entry, at uint64) Object {
	o := k.New()
	switch from := e.object.(type) {
	case *protocol.Block:
		v, to := allocationBlock(from), o.(*libapiv3.IPAMBlock)
		to.Spec = libapiv3.IPAMBlockSpec{
			CIDR: from.CIDR.String(), Affinity: v.Affinity, Allocations: v.Allocations, Unallocated: v.Unallocated,
			Attributes: []libapiv3.AllocationAttribute{}, SequenceNumber: v.SequenceNumber,
			SequenceNumberForAllocation: v.SequenceNumberForAllocation, Deleted: from.Deleted,
		}
		for _, a := range v.Attributes {
			to.Spec.Attributes = append(to.Spec.Attributes, libapiv3.AllocationAttribute(a))
		}
	case *protocol.Affinity:
		o.(*libapiv3.BlockAffinity).Spec = libapiv3.BlockAffinitySpec{
			State: from.State.String(), Node: from.Owner.Name, CIDR: from.CIDR.String(), Deleted: boolText(from.Deleted),
		}
	case *protocol.Handle:
		v := pairOf(from).Value.(*model.IPAMHandle)
		o.(*libapiv3.IPAMHandle).Spec = libapiv3.IPAMHandleSpec{HandleID: v.HandleID, Block: v.Block, Deleted: from.Deleted}
	case *protocol.Config:
		o.(*libapiv3.IPAMConfig).Spec = libapiv3.IPAMConfigSpec(*pairOf(from).Value.(*model.IPAMConfig))
	case *protocol.Node:
		if to := o.(*corev1.Node); e.node != nil {
			e.node.DeepCopyInto(to)
		}
	case *stored:
		o = from.value.DeepCopyObject().(Object)
	}
	var meta metav1.ObjectMeta
	e.meta.DeepCopyInto(&meta)
	meta.Name, meta.ResourceVersion = nameOf(e.object), revision(at)
	if n, ok := e.object.(*protocol.Node); ok {
		meta.Labels = maps.Clone(n.Labels)
	}
	setMeta(o, meta)
	o.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
	return o
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// setMeta replaces the metadata of an object.
func setMeta(o Object, meta metav1.ObjectMeta) { *metaOf(o) = meta }

// metaOf returns the metadata of an object: not a copy.
func metaOf(o Object) *metav1.ObjectMeta {
	return o.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
}

// halfDeleted reports whether an object says that the first step of its deletion
// was done.
func halfDeleted(o Object) bool {
	switch o := o.(type) {
	case *libapiv3.IPAMBlock:
		return o.Spec.Deleted
	case *libapiv3.BlockAffinity:
		return o.Spec.Deleted == "true"
	case *libapiv3.IPAMHandle:
		return o.Spec.Deleted
	}
	return false
}

// datastoreObject returns what the datastore has of an object. There is what it has
// of it now, or nil: what the type does not show stays as it is there.
func (f *Fake) datastoreObject(o Object, there protocol.Object) (protocol.Object, field.ErrorList) {
	spec := field.NewPath("spec")
	var kv model.KVPair
	switch o := o.(type) {
	case *libapiv3.IPAMBlock:
		cidr, errs := cidrOf(spec, o.Spec.CIDR)
		if errs != nil {
			return nil, errs
		}
		v := &model.AllocationBlock{
			CIDR: netOf(cidr), Affinity: o.Spec.Affinity, Allocations: o.Spec.Allocations, Unallocated: o.Spec.Unallocated,
			SequenceNumber: o.Spec.SequenceNumber, SequenceNumberForAllocation: o.Spec.SequenceNumberForAllocation,
		}
		for _, a := range o.Spec.Attributes {
			v.Attributes = append(v.Attributes, model.AllocationAttribute(a))
		}
		kv.Key, kv.Value = model.BlockKey{CIDR: v.CIDR}, v
	case *libapiv3.BlockAffinity:
		cidr, errs := cidrOf(spec, o.Spec.CIDR)
		if o.Spec.Node == "" {
			errs = append(errs, field.Required(spec.Child("node"), "name the node that claims the block"))
		}
		if errs != nil {
			return nil, errs
		}
		kv.Key = model.BlockAffinityKey{CIDR: netOf(cidr), Host: o.Spec.Node}
		kv.Value = &model.BlockAffinity{State: model.BlockAffinityState(o.Spec.State)}
	case *libapiv3.IPAMHandle:
		if o.Spec.HandleID == "" {
			return nil, field.ErrorList{field.Required(spec.Child("handleID"), "the name of the object in its creator's case")}
		}
		kv.Key, kv.Value = model.IPAMHandleKey{HandleID: o.Spec.HandleID}, &model.IPAMHandle{Block: o.Spec.Block}
	case *libapiv3.IPAMConfig:
		v := model.IPAMConfig(o.Spec)
		kv.Key, kv.Value = model.IPAMConfigKey{}, &v
	case *corev1.Node:
		return &protocol.Node{Node: sim.Node{Name: o.Name, Labels: maps.Clone(o.Labels)}}, nil
	case *v3.IPPool:
		if _, errs := cidrOf(spec, o.Spec.CIDR); errs != nil {
			return nil, errs
		}
		if err := f.checkPools(o); err != nil {
			return nil, field.ErrorList{field.Invalid(spec, o.Spec.CIDR, err.Error())}
		}
		return &stored{resource: poolsResource, name: o.Name, value: o}, nil
	case *v3.IPReservation:
		return &stored{resource: reservationsResource, name: o.Name, value: o}, nil
	}
	out, err := objectOf(&kv, there)
	if v, ok := err.(cerrors.ErrorValidation); ok {
		var errs field.ErrorList
		for _, e := range v.ErroredFields {
			errs = append(errs, field.Invalid(spec.Child(strings.ToLower(e.Name[:1])+e.Name[1:]), e.Value, e.Reason))
		}
		return nil, errs
	}
	if a, ok := out.(*protocol.Affinity); ok && a.Created.IsZero() {
		a.Created = f.options.Now().UTC()
	}
	return out, nil
}

// cidrOf parses a CIDR as Kubernetes stores it: without host bits.
func cidrOf(spec *field.Path, text string) (netip.Prefix, field.ErrorList) {
	if text == "" {
		return netip.Prefix{}, field.ErrorList{field.Required(spec.Child("cidr"), "such as 10.0.0.0/26")}
	}
	cidr, err := netip.ParsePrefix(text)
	if err != nil || cidr != cidr.Masked() || cidr.Addr().Is4In6() {
		return netip.Prefix{}, field.ErrorList{field.Invalid(spec.Child("cidr"), text, "must be a CIDR without host bits, such as 10.0.0.0/26")}
	}
	return cidr, nil
}
