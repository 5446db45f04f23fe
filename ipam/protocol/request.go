package protocol

// Verb is the kind of a request.
type Verb string

// The verbs, as recordings write them.
const (
	Get    Verb = "get"    // the object of that key
	List   Verb = "list"   // the objects of a list, by name
	Create Verb = "create" // the object, unless there is one of its key
	Update Verb = "update" // the object, if it is still at the revision that was read
	Apply  Verb = "apply"  // the object, whatever is there
	Delete Verb = "delete" // the object, if it is still at the revision that was read
	// Mark is the first half of a Delete, which is two writes on Kubernetes: it
	// only sets the flag, as if the client died in between. Clients never request
	// it.
	Mark Verb = "mark"
)

// Result is the result of a request.
type Result string

// The results. All but the last are those of recordings.
const (
	OK       Result = "ok"
	Exists   Result = "exists"   // there is an object of that key
	Missing  Result = "missing"  // there is none
	Conflict Result = "conflict" // another client wrote since the object was read
	// Failed is the answer when there is none: the request did not arrive, or
	// the answer was lost. The [Store] never gives it.
	Failed Result = "failed"
)

// A Request is one call to a datastore.
type Request struct {
	Verb Verb
	Key  Key
	// Object is the object to write or delete, with the revision that was read. It
	// is the client's own copy, which the datastore does not keep; nil for Get and
	// List.
	Object Object
}

// A Response is the answer to a request.
type Response struct {
	Result Result
	// Object is the object after a successful Get, Create, Update or Apply: the
	// client's own copy.
	Object Object
	// List is the answer to a List, ordered by name. The objects are the
	// datastore's own and must not be changed.
	List []Object
}

// Access is a client's access to a datastore: a [*Store], or another
// implementation in front of it. A client makes one request at a time, and reads
// nothing else that another client may change, except pools and reservations.
type Access interface {
	// Do carries out a request. It need not return: then the client died.
	Do(Request) Response
}
