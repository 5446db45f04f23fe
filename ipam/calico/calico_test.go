package calico

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"testing"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam/codes"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"": "v3.33", "master": "v3.33", "v3.28": "v3.28", "3.28": "v3.28", "v3.28.2": "v3.28.2", "v3.31.7-12-gabc": "v3.31.7",
		"v3.22.0": "v3.22.0", "v3.0.0": "v3.0.0", "v3.16.10": "v3.16.10", "v3.99": "v3.99", "v3.32.1+build": "v3.32.1",
	} {
		v, err := Parse(text)
		must.NoError(t, err, must.Sprint(text))
		test.Eq(t, want, v.String(), test.Sprint(text))
		again, err := Parse(v.String())
		must.NoError(t, err, must.Sprint(text))
		test.Eq(t, v.Known(), again, test.Sprint(text))
	}
	for _, text := range []string{"v2.6.1", "28", "v3", "v3.", "v3.x", "v3.28.", "v3.28.x", "v3.-1", "v3.28.2.1", "v3.12345", "latest", " v3.28"} {
		_, err := Parse(text)
		test.ErrorIs(t, err, codes.InvalidArgument, test.Sprint(text))
		test.EqError(t, err, fmt.Sprintf("ipam: invalid version %q: must be a release of Calico such as v3.28 or v3.28.2", text))
	}
}

func TestVersionCovered(t *testing.T) {
	for text, want := range map[string]bool{"": true, "v3.22.0": true, "v3.21": false, "v3.33.4": true, "v3.34.0": false, "v3.16": false} {
		v, err := Parse(text)
		must.NoError(t, err)
		test.Eq(t, want, v.Covered(), test.Sprint(text))
	}
	test.Eq(t, V3(28), known(Parse("v3.28")))
	test.Eq(t, V3(33), known(Parse("v3.33")))
	test.Eq(t, newestVersion.Rules(), Version(0).Rules())
}

func known(v Version, err error) Version {
	if err != nil {
		panic(err)
	}
	return v
}

// Both sides of each change, and of its backports.
func TestChanges(t *testing.T) {
	has := func(version string, field func(*Rules) *bool) bool {
		r := known(Parse(version)).Rules()
		return *field(&r)
	}
	reclaim := func(r *Rules) *bool { return &r.ReclaimEmptyBlocks }
	test.False(t, has("v3.31.9", reclaim))
	test.True(t, has("v3.32.0", reclaim))
	pools6 := func(r *Rules) *bool { return &r.EnsureByPools6 }
	for version, want := range map[string]bool{"v3.31.6": false, "v3.31.7": true, "v3.31": true, "v3.32.0": false, "v3.32": false, "v3.33.0": true, "v3.16": false} {
		test.Eq(t, want, has(version, pools6), test.Sprint(version))
	}
	byAddress := func(r *Rules) *bool { return &r.DisabledByAddress }
	for version, want := range map[string]bool{"v3.29.9": false, "v3.30.3": false, "v3.30.4": true, "v3.31.0": true, "v3.32.0": true} {
		test.Eq(t, want, has(version, byAddress), test.Sprint(version))
	}
}

// Every field of the rules has its row, and every row a field of its own, so that
// the newest release has all of them.
func TestEveryRuleHasItsRow(t *testing.T) {
	newest := reflect.ValueOf(newestVersion.Rules())
	for i := range newest.NumField() {
		test.True(t, newest.Field(i).Bool(), test.Sprint(newest.Type().Field(i).Name))
	}
	test.Eq(t, newest.NumField(), len(releases))
	oldest := reflect.ValueOf(oldestVersion.Rules())
	for i := range oldest.NumField() {
		test.False(t, oldest.Field(i).Bool(), test.Sprint(oldest.Type().Field(i).Name))
	}
	for _, c := range releases {
		test.NotEq(t, "", c.what)
		test.RegexMatch(t, regexp.MustCompile(`^#\d+$`), c.pull)
		test.RegexMatch(t, regexp.MustCompile("^\u00a7\\d+$"), c.cite)
		test.AscendingFunc(t, append([]Version{0}, c.since...), cmp.Less)
	}
}

func TestWithout(t *testing.T) {
	selector := func(r *Rules) *bool { return &r.NamespaceSelector }
	test.Eq(t, "Calico v3.30 has no namespaceSelector; v3.31 is the first release that does", V3(30).Without(selector))
	test.Eq(t, V3(31), First(selector))
	test.Eq(t, "v3.30.4", First(func(r *Rules) *bool { return &r.DisabledByAddress }).String())
}

func TestCaveat(t *testing.T) {
	test.StrContains(t, known(Parse("v3.16.5")).Caveat(), "v3.16.5 is answered as v3.22")
	test.StrContains(t, known(Parse("v3.40")).Caveat(), "v3.40 is answered as v3.33")
	test.Eq(t, "", V3(22).Caveat())
	test.Eq(t, "", Version(0).Caveat())
}
