package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// thousands writes a number with commas.
func thousands[T int | uint64 | float64](n T) string {
	text := strconv.FormatFloat(float64(n), 'f', 0, 64)
	if f := float64(n); f < 1<<53 && f > -1<<53 {
		text = strconv.FormatInt(int64(n), 10)
	}
	return commas(text)
}

// commas puts commas into the digits of a whole number.
func commas(text string) string {
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// count is a number with its noun.
func count(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "s"):
		return thousands(n) + " " + one + "es"
	}
	return thousands(n) + " " + one + "s"
}

// verb is the form of a verb for so many.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// brief writes a time span without zeros.
func brief(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// list joins words: a, b and c.
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// some lists words, only the first ones of many.
func some(words []string, most int) string {
	if len(words) <= most+1 {
		return list(words)
	}
	return strings.Join(words[:most], ", ") + " and " + thousands(len(words)-most) + " more"
}

// unknown is the error about a name that does not exist, with one that does and is
// spelt alike.
func unknown(field, what, name string, known []string) error {
	if best := alike(name, known); best != "" {
		return fmt.Errorf("%s: there is no %s %q; did you mean %q?", field, what, name, best)
	}
	if len(known) == 0 {
		return fmt.Errorf("%s: there is no %s %q", field, what, name)
	}
	return fmt.Errorf("%s: there is no %s %q; there %s %s", field, what, name, verb(len(known), "is", "are"), some(known, 5))
}

// alike returns the known name that differs least from a name, if it differs little.
func alike(name string, known []string) string {
	best, least := "", 1+len(name)/3
	for _, k := range known {
		if len(k)-len(name) > least || len(name)-len(k) > least {
			continue
		}
		if d := distance(name, k); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	if best != "" {
		return best
	}
	only := ""
	for _, k := range known { // a part of a name, if of one only
		if name != "" && strings.Contains(k, name) {
			if only != "" {
				return ""
			}
			only = k
		}
	}
	return only
}

// distance is how many letters differ between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := before
			if a[i] != b[j] {
				d = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
