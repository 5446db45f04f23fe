// Package look has the style of the pages that programs write, and the parts of their
// map of blocks.
package look

import _ "embed"

var (
	//go:embed look.css
	style string
	//go:embed blockmap.js
	blockMap string
)

// exports are the names of blockmap.js that pages use.
const exports = "GONE, address, ownerColour, cellBeside, cellUnder, colour, count, css, curve, drawMap, layoutMap, mark, mix, placeMark, placeTip, rampColour, say, themes"

// CSS is the style. A page adds its own to it.
func CSS() string { return style }

// Script is the parts of the map for a page whose script is one text, at its start.
func Script() string { return blockMap }

// Module is the same as a module that others import.
func Module() string { return blockMap + "\nexport { " + exports + " };\n" }
