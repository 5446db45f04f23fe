package course

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/ipam/calico"
)

// printed returns the names of the columns or fields that a command has printed.
func printed(t *testing.T, text string) (words []string) {
	t.Helper()
	add := func(word string) {
		if word = strings.TrimSpace(word); word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	lines := strings.Split(text, "\n")
	switch {
	case strings.HasPrefix(text, "apiVersion:"):
		var object map[string]any
		must.NoError(t, yaml.Unmarshal([]byte(text), &object))
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for name, one := range v {
					walk(strings.TrimPrefix(path+"."+name, "."), one)
				}
				return
			case []any:
				for _, one := range v {
					walk("", one)
				}
			}
			add(path)
		}
		walk("", object)
	case strings.HasPrefix(lines[0], "+"), strings.HasPrefix(lines[0], "╭"):
		for _, cell := range regexp.MustCompile(`[|│]`).Split(lines[1], -1) {
			add(cell)
		}
	default:
		for _, cell := range regexp.MustCompile(` {2,}`).Split(lines[0], -1) {
			add(cell)
		}
	}
	return words
}

// unexplained holds what the exercise prints against what it explains: it returns the
// fields that are printed only, and those that are explained only.
func unexplained(t *testing.T, p Part) (missing, superfluous []string) {
	t.Helper()
	var words []string
	command := ""
	explained := make(map[string]bool)
	for _, i := range p.Items {
		switch i.Kind {
		case Command:
			command = i.Text
		case Prints:
			words = append(words, printed(t, i.Text)...)
		case Explains:
			for _, f := range i.Fields {
				must.False(t, explained[f.Word], must.Sprintf("%s is explained twice", f.Word))
				explained[f.Word] = true
				must.RegexMatch(t, regexp.MustCompile(`^["A-Za-z].*[^ ]\.$`), f.Says)
			}
		}
	}
	for _, w := range words {
		if !explained[w] {
			missing = append(missing, w)
		}
		delete(explained, w)
	}
	for w := range explained {
		if !strings.HasPrefix(w, "-") || !strings.Contains(command, w) {
			superfluous = append(superfluous, w)
		}
	}
	return missing, superfluous
}

// TestFields: every column and every field that an exercise prints is explained, in
// every release, and nothing else is.
func TestFields(t *testing.T) {
	for line := 22; line <= 33; line++ {
		v := calico.V3(line)
		s := Default()
		s.Calico = v
		exercises := 0
		for p, err := range Parts(s, 1, 2, 3, 4, 5, 6, 7) {
			must.NoError(t, err)
			exercises++
			missing, superfluous := unexplained(t, p)
			must.SliceEmpty(t, missing, must.Sprintf("%s of %s: not explained", p.Title, v))
			if p.Step == 6 {
				must.Eq(t, []string{"spec.type"}, superfluous, must.Sprint("which says that it is not there"))
			} else {
				must.SliceEmpty(t, superfluous, must.Sprintf("%s of %s: explained, but not printed", p.Title, v))
			}
		}
		must.Eq(t, Steps, exercises)
	}
}

// TestFieldsBroken: a field that is new, and one that is gone, are noticed in each
// exercise.
func TestFieldsBroken(t *testing.T) {
	for p, err := range Parts(Default(), 1, 2, 3, 4, 5, 6, 7) {
		must.NoError(t, err)
		last := &p.Items[len(p.Items)-1]
		must.Eq(t, Explains, last.Kind)
		for i, f := range last.Fields {
			if f.Word == "spec.type" || strings.HasPrefix(f.Word, "-") {
				continue
			}
			whole := last.Fields
			last.Fields = slices.Delete(slices.Clone(whole), i, i+1)
			missing, _ := unexplained(t, p)
			must.Eq(t, []string{f.Word}, missing, must.Sprint("printed, but not explained any more"))

			last.Fields = append(slices.Clone(whole), Field{"NEW", "Says something."})
			_, superfluous := unexplained(t, p)
			must.SliceContains(t, superfluous, "NEW")
			last.Fields = whole
		}
		for i := range p.Items {
			item := &p.Items[i]
			if item.Kind != Prints {
				continue
			}
			more := func(line, cell string) string {
				return strings.Replace(item.Text, line, line+cell, 1)
			}
			first, rest, _ := strings.Cut(item.Text, "\n")
			second, _, _ := strings.Cut(rest, "\n")
			switch p.Step {
			case 6:
				item.Text = more("    state: confirmed\n", "    new: x\n")
				missing, _ := unexplained(t, p)
				must.Eq(t, []string{"spec.new"}, missing)
				continue
			case 1:
				item.Text = more(second, " NEW │")
			case 4:
				item.Text = more(second, " NEW |")
			default:
				item.Text = more(first, "   NEW")
			}
			missing, _ := unexplained(t, p)
			must.Eq(t, []string{"NEW"}, missing, must.Sprint(p.Title))
		}
	}
}
