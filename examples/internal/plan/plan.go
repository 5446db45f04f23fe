package plan

import (
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// plan is what there is to tell of a scenario: the table, JSON and the report all
// show this.
type plan struct {
	Index    int          `json:"index"`          // of the scenario in its file, from 0
	File     string       `json:"file,omitempty"` // empty for one of flags
	Line     int          `json:"line,omitempty"`
	Scenario sim.Scenario `json:"scenario"`
	Warnings []string     `json:"warnings,omitempty"`
	Rows     []row        `json:"rows"` // by block size, the largest blocks first; one for a scenario that names its own
	Verdict  verdict      `json:"verdict"`
}

// row is the scenario at one block size.
type row struct {
	BlockSize int        `json:"blockSize"`         // 0 for several pools of different ones
	Fits      bool       `json:"fits"`              // nothing refused or borrowed, and every node in need of one has a block
	FailsAt   string     `json:"failsAt,omitempty"` // what fails first, in words
	Result    sim.Result `json:"result"`
}

// verdict is what to do.
type verdict struct {
	BlockSize int      `json:"blockSize,omitempty"` // to take; 0 if none will do, or the default was not run
	Text      []string `json:"text"`                // paragraphs
	Changes   []change `json:"changes,omitempty"`   // that would make the default work, the cheapest first
}

// change is one that was tried by running it, unless Why says that it cannot be.
type change struct {
	What   string      `json:"what"` // "a larger pool: 10.0.0.0/17"
	Works  bool        `json:"works"`
	Why    string      `json:"why"`              // what it comes to
	Result *sim.Totals `json:"result,omitempty"` // nil if it cannot be run
}

// compared reports whether the scenario was run at every block size.
func (p *plan) compared() bool { return p.Scenario.BlockSize == 0 && len(p.Scenario.Pools) == 0 }

// fits reports whether the scenario fits, at one block size at least.
func (p *plan) fits() bool {
	for i := range p.Rows {
		if p.Rows[i].Fits {
			return true
		}
	}
	return false
}

// at returns the row of a block size, or nil.
func (p *plan) at(size int) *row {
	for i := range p.Rows {
		if p.Rows[i].BlockSize == size {
			return &p.Rows[i]
		}
	}
	return nil
}
