package workload

// Options is what a run shows beyond totals. The zero value asks for nothing
// more. None of it changes what becomes of a request.
type Options struct {
	Samples  int  // how many samples, evenly over the run; 0 for none, at least 2 otherwise
	Map      bool // with the samples: which blocks changed
	PerNode  bool
	Headroom bool // takes up to twice as long again as it takes to fill the pool
	// Each is told of every request, in order. It must not keep the pointer.
	Each func(*Moment)
	// Progress is told now and then how many of about how many requests are done;
	// if it returns false, the run ends with [ErrStopped].
	Progress func(done, of int) bool
}
