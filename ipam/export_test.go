package ipam

// Changes returns how many rows the table of releases has.
func Changes() int { return len(releases) }

// ChangeName returns what a row is about.
func ChangeName(row int) string { return releases[row].what }

// Turn makes the allocator go the other way about one row of the table of releases.
func Turn(a *Allocator, row int) {
	b := releases[row].field(&a.rules)
	*b = !*b
}
