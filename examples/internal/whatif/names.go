package whatif

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// namesOf fails where a step names a node or a pool that is not there and that no step
// before can add, so that a mistyped name is found before anything is done.
func (w *world) namesOf(steps []step) error {
	for i, st := range steps {
		if st.pool != "" && !slices.ContainsFunc(steps[:i], func(before step) bool { return before.addsPool }) {
			if _, err := w.poolCalled(st.pool); err != nil {
				return fmt.Errorf("%s: %w", st.text, err)
			}
		}
		if st.node == "" || added(steps[:i], st.node) {
			continue
		}
		if st.mayBeGone && w.IsGone(st.node) {
			continue
		}
		if err := w.nodeCalled(st.node); err != nil {
			return fmt.Errorf("%s: %w", st.text, err)
		}
	}
	return nil
}

// added reports whether one of the steps may add a node of that name.
func added(steps []step, name string) bool {
	for _, st := range steps {
		before, after, numbered := strings.Cut(st.adds, "%d")
		if !numbered {
			if st.adds == name {
				return true
			}
			continue
		}
		number, found := strings.CutPrefix(name, before)
		number, ends := strings.CutSuffix(number, after)
		if found && ends && number != "" && strings.Trim(number, "0123456789") == "" {
			return true
		}
	}
	return false
}

var leadingZeros = regexp.MustCompile(`(^|[^0-9])0+([0-9])`)

// plain returns a name as people mistake it for another: in small letters, its
// numbers without leading zeros.
func plain(name string) string {
	return leadingZeros.ReplaceAllString(strings.ToLower(name), "$1$2")
}
