package claimlist

import (
	"flag"
	"os"
	"testing"

	"github.com/ipamsim/ipamsim/internal/property"
)

// long makes more and longer checks: IPAMSIM_LONG=1 go test ./internal/claimlist
var long = property.Long()

func TestMain(m *testing.M) {
	if long {
		// Flags on the command line are parsed later and take precedence.
		if err := flag.Set("rapid.checks", "5000"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
