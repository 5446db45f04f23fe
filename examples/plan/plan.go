package main

import (
	"github.com/ipamsim/ipamsim/ipam/workload"
)

// plan is what there is to tell of a scenario: the table, JSON and the report all
// show this.
type plan struct {
	Scenario workload.Scenario `json:"scenario"`
	Warnings []string          `json:"warnings,omitempty"`
	Rows     []row             `json:"rows"` // by block size, the largest blocks first; one for a scenario that names its own
	Verdict  verdict           `json:"verdict"`
}

// row is the scenario at one block size.
type row struct {
	BlockSize int             `json:"blockSize"`         // 0 for several pools of different ones
	Fits      bool            `json:"fits"`              // nothing refused or borrowed, and every node has a block
	FailsAt   string          `json:"failsAt,omitempty"` // what fails first, in words
	Result    workload.Result `json:"result"`
}

// verdict is what to do.
type verdict struct {
	BlockSize int      `json:"blockSize,omitempty"` // to take; 0 if none will do
	Text      []string `json:"text"`                // paragraphs
	Changes   []change `json:"changes,omitempty"`   // that would make the default work, the cheapest first
}

// change is one that was tried by running it.
type change struct {
	What   string          `json:"what"` // "a larger pool: 10.0.0.0/17"
	Works  bool            `json:"works"`
	Result workload.Totals `json:"result"`
}
