package lifecycle

import "net/netip"

// podList is the list of pods.
type podList struct {
	// byName has the pods of one name, whatever their namespace, in a chain: a name is
	// hashed faster than a name and a namespace, and hardly any two pods share one.
	byName map[string]*listed
	count  int
	added  uint64 // pods ever

	assumes func(namespace string) bool // nil for never
	assumed listed                      // stands for any pod that is assumed
}

// listed is a pod in the list of pods. A pointer to it shows later changes and the
// deletion.
type listed struct {
	Pod
	deleted bool
	next    *listed       // the next pod of the same name, of another namespace
	one     [1]netip.Addr // most pods report one address
}

func makePodList() podList { return podList{byName: make(map[string]*listed)} }

// find returns the pod, or nil.
func (l *podList) find(name PodName) *listed {
	p := l.byName[name.Name]
	for p != nil && p.Namespace != name.Namespace {
		p = p.next
	}
	return p
}

// again returns the pod of a holder, or nil. It looks for one only if it has to: the pod
// that was found last is in its place until it is deleted, and if there was none, or one
// that is assumed, it is so until some pod is added.
func (l *podList) again(h *holder) *listed {
	switch p := h.listed; {
	case p != nil && p != &l.assumed && !p.deleted:
		return p
	case (p == nil || p == &l.assumed) && h.sought == l.added+1:
		return p
	}
	h.listed, h.sought = l.find(h.pod), l.added+1
	if h.listed == nil && l.assumes != nil && l.assumes(h.pod.Namespace) {
		h.listed = &l.assumed
	}
	return h.listed
}

// add adds a pod that is not listed. The caller sets the rest of it.
func (l *podList) add(name PodName) *listed {
	p := &listed{Pod: Pod{PodName: name}, next: l.byName[name.Name]}
	l.byName[name.Name] = p
	l.count++
	l.added++
	return p
}

// remove removes the pod and returns it, or nil if it is not listed.
func (l *podList) remove(name PodName) *listed {
	p := l.byName[name.Name]
	var before *listed
	for p != nil && p.Namespace != name.Namespace {
		before, p = p, p.next
	}
	switch {
	case p == nil:
		return nil
	case before != nil:
		before.next = p.next
	case p.next != nil:
		l.byName[name.Name] = p.next
	default:
		delete(l.byName, name.Name)
	}
	p.deleted = true
	l.count--
	return p
}
