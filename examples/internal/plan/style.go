package plan

import (
	"github.com/ipamsim/ipamsim/examples/internal/look"
	"github.com/ipamsim/ipamsim/internal/chart"
)

// Style is the style of the report, for pages that look like it.
func Style() string { return chart.CSS() + look.CSS() + reportCSS }
