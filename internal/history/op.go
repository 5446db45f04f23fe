package history

import (
	"fmt"
	"math"
	"net/netip"
)

// A verb is what an operation does to one address.
type verb uint8

const (
	assign        verb = iota // gives it to the handle
	release                   // releases it, if handle and number are right
	releaseHandle             // releases it, if the handle holds it
	look                      // asks who holds it
	ask                       // asks whether the handle holds it
	found                     // begins a history: its holder was known before
)

// An outcome is what a client was told of an operation.
type outcome uint8

const (
	unanswered outcome = iota // nothing: it may have happened or not
	done                      // assign, release, releaseHandle
	taken                     // assign: it is held or cools
	wasNobodys                // release: nobody holds it
	badHandle                 // release: another handle holds it
	badNumber                 // release: it has another sequence number
	isHeld                    // look, found: the answer's handle holds it
	isCooling                 // look, found
	isFree                    // look
	isNobodys                 // look: it is free or cools
	yes                       // ask
	no                        // ask
)

// An op is an operation on one address.
type op struct {
	verb   verb
	handle string // that gets it, holds it, or must hold it if not empty
	// held says that an assign of an address that the handle already holds
	// succeeds.
	held bool
	// numbered says that seq must be the address's sequence number.
	numbered bool
	seq      uint64
	// The allocator's clock, in whole seconds, before the call and after the
	// return. For found: when a cooling address was released.
	from, to int64
}

// An answer is the result of an operation.
type answer struct {
	outcome outcome
	handle  string // isHeld: who holds the address
	seq     uint64 // isHeld: its sequence number
}

// never is the return time of an operation that does not return.
const never = math.MaxInt64

// An event is an operation of one client and its answer, about one address or
// all of them.
type event struct {
	op
	answer
	client    int
	call, ret int64

	ip     netip.Addr   // zero: all addresses
	but    []netip.Addr // all addresses but these, ascending
	family family       // only these of all addresses
}

// A family says which of all addresses an event is about.
type family uint8

const (
	both family = iota
	only4
	only6
)

func (f family) has(ip netip.Addr) bool { return f == both || ip.Is4() == (f == only4) }

// describe puts an operation and its answer into words.
func describe(o op, a answer) string {
	text := map[verb]string{
		assign: "assign", release: "release", releaseHandle: "release all of", look: "who has it?", ask: "is it of", found: "before",
	}[o.verb]
	if o.handle != "" {
		text += " " + o.handle
	}
	if o.numbered {
		text += fmt.Sprint(" number ", o.seq)
	}
	text += ": " + map[outcome]string{
		unanswered: "no answer", done: "done", taken: "taken", wasNobodys: "nobody has it", badHandle: "another handle has it",
		badNumber: "it has another number", isHeld: "held", isCooling: "it cools", isFree: "it is free", isNobodys: "nobody", yes: "yes", no: "no",
	}[a.outcome]
	if a.outcome == isHeld {
		text += fmt.Sprintf(" by %q, number %d", a.handle, a.seq)
	}
	return text
}
