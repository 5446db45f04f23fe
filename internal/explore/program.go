package explore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// A Program is clients of one cluster and what each of them does. A [Schedule]
// says in which order. The program's setting names the release of Calico; only the
// newest is explored.
type Program struct {
	Name    string       `json:"name"`
	Setting trace.Header `json:"setting"`
	// Before are the operations that set up the cluster, one at a time.
	Before []race.Step `json:"before,omitempty"`
	// Clients are called a, b, c and so on, in their order: 1 to 26 of them.
	Clients []Client `json:"clients"`
}

// A Client is a process on a host, or one that works for it. It does its steps in
// their order and ignores their outcomes.
type Client struct {
	Host  string      `json:"host"`
	Steps []race.Step `json:"steps"`
	// Back are the steps of the host when it comes back, each time after a client
	// of it died: a new client with the same name does them. Without steps it
	// never comes back.
	Back []race.Step `json:"back,omitempty"`
	// Behind is how far the client's clock is behind that of the others, in
	// seconds.
	Behind int `json:"behind,omitempty"`
}

// FromRace returns the program of a recorded race. After the death of a client its
// host comes back and does what was recorded for it.
func FromRace(r *race.Race) *Program {
	p := &Program{Name: r.Name, Setting: r.Setting, Before: r.Before}
	after := slices.Clone(r.After)
	for _, c := range r.Clients {
		client := Client{Host: c.Host, Steps: c.Steps}
		i := slices.IndexFunc(after, func(s race.Step) bool { return s.In.Host == c.Host })
		if c.DiesAfter != nil && i >= 0 {
			client.Back = []race.Step{after[i]}
			after = slices.Delete(after, i, i+1)
		}
		p.Clients = append(p.Clients, client)
	}
	return p
}

// ErrProgram is matched by errors about a program that cannot run under any
// schedule.
var ErrProgram = errors.New("explore: impossible program")

// maxClients is the number of names for clients.
const maxClients = 26

// maxBehind is the limit of [Client.Behind], in seconds: some 50 years.
const maxBehind = 50 * 366 * 24 * 3600

// operations are those that a client may do while others are at work: they reach
// the datastore through requests. Advance moves the clock of all.
var operations = []string{
	"AutoAssign", "AssignIP", "ReleaseIPs", "ReleaseByHandle", "IPsByHandle", "GetAssignmentAttributes", "SetOwnerAttributes",
	"ClaimAffinity", "ReleaseAffinity", "ReleaseHostAffinities", "ReleasePoolAffinities", "ReleaseBlockAffinity", "RemoveIPAMHost",
	"EnsureBlock", "GarbageCollectColdIPs", "Advance",
}

// validate returns everything that is invalid in the program.
func (p *Program) validate() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrProgram}, args...)...))
	}
	if p.Setting.Version != trace.Version {
		wrong("setting has version %d, want %d", p.Setting.Version, trace.Version)
	}
	if _, err := p.calico(); err != nil {
		wrong("setting is of Calico %q: %w", p.Setting.Calico, err)
	}
	if n := len(p.Clients); n < 1 || n > maxClients {
		wrong("%d clients, want 1 to %d", n, maxClients)
	}
	for i, c := range p.Clients {
		if c.Behind < 0 || c.Behind > maxBehind {
			wrong("the clock of %s is %d seconds behind, want 0 to %d", name(i), c.Behind, maxBehind)
		}
		for _, s := range slices.Concat(c.Steps, c.Back) {
			if !slices.Contains(operations, s.Op) {
				wrong("%s cannot do %q beside others", name(i), s.Op)
			}
		}
	}
	return errors.Join(errs...)
}

// calico returns the release that the setting names.
func (p *Program) calico() (calico.Version, error) { return calico.Parse(p.Setting.Calico) }

// newest refuses a program of another release than the newest: only that has the
// strict invariants.
func (p *Program) newest() error {
	if v, err := p.calico(); err != nil || v.Rules() != calico.Version(0).Rules() {
		return fmt.Errorf("%w: setting is of Calico %q, and only the newest release, %s, is explored", ErrProgram, p.Setting.Calico, calico.Version(0))
	}
	return nil
}

// name returns the name of client number i.
func name(i int) string { return string(rune('a' + i)) }
