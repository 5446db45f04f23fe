package protocol

import "iter"

// Process is a client at work that stops before each request until it gets the
// answer. With processes, clients run side by side: the caller decides which
// request comes next and what the answer is. That may be the store's answer, an
// older one, or none ([Failed], with the request carried out or not). A killed
// process makes no further request.
//
// Make one with [Start]. A process is a coroutine: it runs only within Start,
// Answer and Kill, and the caller must answer it until it ends, or kill it.
type Process struct {
	next   func() (Request, bool)
	stop   func()
	killed bool

	request Request
	waiting bool
	answer  Response
}

// Start runs a program up to its first request. The program makes clients with the
// given [Access], works through them, and ends by returning. Start passes on a
// panic in it.
func Start(program func(Access)) *Process {
	p := new(Process)
	p.next, p.stop = iter.Pull(func(yield func(Request) bool) {
		defer func() {
			if p.killed {
				_ = recover() // unwound on purpose
			}
		}()
		program(turns{p, yield})
	})
	p.request, p.waiting = p.next()
	return p
}

// turns is the access of a process's clients.
type turns struct {
	p     *Process
	yield func(Request) bool
}

// Do waits for the answer. It does not return when the process is killed.
func (t turns) Do(r Request) Response {
	if !t.yield(r) {
		panic("protocol: the process was killed")
	}
	return t.p.answer
}

// Request returns the request that the process is about to make; waiting is
// false when it has ended.
func (p *Process) Request() (r Request, waiting bool) { return p.request, p.waiting }

// Answer gives the process the answer to its request, and runs it up to the next.
// It panics unless the process is waiting.
func (p *Process) Answer(r Response) {
	if !p.waiting {
		panic("protocol: answer to a process that has ended")
	}
	p.answer = r
	p.request, p.waiting = p.next()
}

// Kill ends the process before its next request, if it has not ended yet.
func (p *Process) Kill() {
	p.killed = true
	p.stop()
	p.request, p.waiting = Request{}, false
}
