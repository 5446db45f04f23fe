package explore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// A Program is clients of one cluster and what each of them does. Nothing in it
// says whose turn it is: that is for a [Schedule]. Its setting names the release of
// Calico; only the newest is explored.
type Program struct {
	Name    string       `json:"name"`
	Setting trace.Header `json:"setting"`
	// Before is what was done beforehand, one operation at a time.
	Before []race.Step `json:"before,omitempty"`
	// Clients are called a, b, c and so on, in their order: 1 to 26 of them.
	Clients []Client `json:"clients"`
}

// A Client is a process on a host, or one that works for it, that does its steps
// in their order. Outcomes of the steps are not looked at.
type Client struct {
	Host  string      `json:"host"`
	Steps []race.Step `json:"steps"`
	// Back is what the host does when it has come back, each time after a client
	// of it died: a new client with the same name does these. None: it never
	// comes back.
	Back []race.Step `json:"back,omitempty"`
	// Behind is how many seconds the client's clock is behind that of the
	// others.
	Behind int `json:"behind,omitempty"`
}

// FromRace returns the program of a recorded race. A host of which a client died
// comes back and does what was recorded for it.
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

// ErrProgram is matched by errors about a program that cannot be carried out
// under any schedule.
var ErrProgram = errors.New("explore: impossible program")

// maxClients is how many clients have a name.
const maxClients = 26

// maxBehind is how far behind a clock may be, in seconds: some 50 years.
const maxBehind = 50 * 366 * 24 * 3600

// operations are those that a client may do while others are at work: what goes
// to the datastore through requests. Advance moves the clock of all.
var operations = []string{
	"AutoAssign", "AssignIP", "ReleaseIPs", "ReleaseByHandle", "IPsByHandle", "GetAssignmentAttributes", "SetOwnerAttributes",
	"ClaimAffinity", "ReleaseAffinity", "ReleaseHostAffinities", "ReleasePoolAffinities", "ReleaseBlockAffinity", "RemoveIPAMHost",
	"EnsureBlock", "GarbageCollectColdIPs", "Advance",
}

// validate returns everything that makes the program none.
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

// newest refuses a program of another release than the newest, whose invariants are
// the strict ones.
func (p *Program) newest() error {
	if v, err := p.calico(); err != nil || v.Rules() != calico.Version(0).Rules() {
		return fmt.Errorf("%w: setting is of Calico %q, and only the newest release, %s, is explored", ErrProgram, p.Setting.Calico, calico.Version(0))
	}
	return nil
}

// name returns what client number i is called.
func name(i int) string { return string(rune('a' + i)) }
