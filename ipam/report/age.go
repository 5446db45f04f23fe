package report

import (
	"fmt"
	"time"
)

// Age returns the age of what was created then, the way kubectl prints it: in one
// unit, or in two while the first is small, rounded down.
//
//	under 2m       45s, 119s
//	under 10m      3m20s, 4m
//	under 3h       12m, 179m
//	under 8h       3h5m, 4h
//	under 2 days   26h
//	under 8 days   4d2h, 5d
//	under 2 years  30d, 729d
//	under 8 years  2y364d, 3y
//	from then on   9y
//
// Years have 365 days. A time less than two seconds ahead is 0s, as clocks differ;
// one further ahead is <invalid>, and the zero time <unknown>.
func (k Kubectl) Age(created time.Time) string {
	if created.IsZero() {
		return "<unknown>"
	}
	return age(k.Now.Sub(created))
}

func age(d time.Duration) string {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	switch {
	case d <= -2*time.Second:
		return "<invalid>"
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute:
		return twoUnits(d, time.Minute, "m", time.Second, "s")
	case d < 3*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 8*time.Hour:
		return twoUnits(d, time.Hour, "h", time.Minute, "m")
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 8*day:
		return twoUnits(d, day, "d", time.Hour, "h")
	case d < 2*year:
		return fmt.Sprintf("%dd", d/day)
	case d < 8*year:
		return twoUnits(d, year, "y", day, "d")
	}
	return fmt.Sprintf("%dy", d/year)
}

// twoUnits leaves out the second unit if it is 0.
func twoUnits(d, large time.Duration, l string, small time.Duration, s string) string {
	if rest := d % large / small; rest > 0 {
		return fmt.Sprintf("%d%s%d%s", d/large, l, rest, s)
	}
	return fmt.Sprintf("%d%s", d/large, l)
}
