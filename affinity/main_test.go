package affinity

import (
	"testing"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestMain makes more checks in a long run: IPAMSIM_LONG=1 go test ./affinity
func TestMain(m *testing.M) { property.Main(m, 5000) }
