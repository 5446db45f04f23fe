package sim

import (
	"testing"

	"github.com/ipamsim/ipamsim/internal/property"
)

func TestMain(m *testing.M) { property.Main(m, 0) }
