package calico

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam/codes"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"": "v3.33", "master": "v3.33", "v3.28": "v3.28", "3.28": "v3.28", "v3.28.2": "v3.28.2", "v3.31.7-12-gabc": "v3.31.7",
		"v3.22.0": "v3.22.0", "v3.0.0": "v3.0.0", "v3.16.10": "v3.16.10", "v3.99": "v3.99", "v3.32.1+build": "v3.32.1",
	} {
		v, err := Parse(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, v.String(), text)
		again, err := Parse(v.String())
		require.NoError(t, err, text)
		assert.Equal(t, v.Known(), again, text)
	}
	for _, text := range []string{"v2.6.1", "28", "v3", "v3.", "v3.x", "v3.28.", "v3.28.x", "v3.-1", "v3.28.2.1", "v3.12345", "latest", " v3.28"} {
		_, err := Parse(text)
		assert.ErrorIs(t, err, codes.InvalidArgument, text)
		assert.EqualError(t, err, fmt.Sprintf("ipam: invalid version %q: must be a release of Calico such as v3.28 or v3.28.2", text))
	}
}

func TestVersionCovered(t *testing.T) {
	for text, want := range map[string]bool{"": true, "v3.22.0": true, "v3.21": false, "v3.33.4": true, "v3.34.0": false, "v3.16": false} {
		v, err := Parse(text)
		require.NoError(t, err)
		assert.Equal(t, want, v.Covered(), text)
	}
	assert.Equal(t, V3(28), must(Parse("v3.28")))
	assert.Equal(t, V3(33), must(Parse("v3.33")))
	assert.Equal(t, newestVersion.Rules(), Version(0).Rules())
}

func must(v Version, err error) Version {
	if err != nil {
		panic(err)
	}
	return v
}

// Both sides of each change, and of its backports.
func TestChanges(t *testing.T) {
	has := func(version string, field func(*Rules) *bool) bool {
		r := must(Parse(version)).Rules()
		return *field(&r)
	}
	reclaim := func(r *Rules) *bool { return &r.ReclaimEmptyBlocks }
	assert.False(t, has("v3.31.9", reclaim))
	assert.True(t, has("v3.32.0", reclaim))
	pools6 := func(r *Rules) *bool { return &r.EnsureByPools6 }
	for version, want := range map[string]bool{"v3.31.6": false, "v3.31.7": true, "v3.31": true, "v3.32.0": false, "v3.32": false, "v3.33.0": true, "v3.16": false} {
		assert.Equal(t, want, has(version, pools6), version)
	}
	byAddress := func(r *Rules) *bool { return &r.DisabledByAddress }
	for version, want := range map[string]bool{"v3.29.9": false, "v3.30.3": false, "v3.30.4": true, "v3.31.0": true, "v3.32.0": true} {
		assert.Equal(t, want, has(version, byAddress), version)
	}
}

// Every field of the rules has its row, and every row a field of its own, so that
// the newest release has all of them.
func TestEveryRuleHasItsRow(t *testing.T) {
	newest := reflect.ValueOf(newestVersion.Rules())
	for i := range newest.NumField() {
		assert.True(t, newest.Field(i).Bool(), newest.Type().Field(i).Name)
	}
	assert.Equal(t, newest.NumField(), len(releases))
	oldest := reflect.ValueOf(oldestVersion.Rules())
	for i := range oldest.NumField() {
		assert.False(t, oldest.Field(i).Bool(), oldest.Type().Field(i).Name)
	}
	for _, c := range releases {
		assert.NotEmpty(t, c.what)
		assert.Regexp(t, `^#\d+$`, c.pull)
		assert.Regexp(t, "^\u00a7\\d+$", c.cite)
		assert.IsIncreasing(t, append([]Version{0}, c.since...))
	}
}

func TestWithout(t *testing.T) {
	selector := func(r *Rules) *bool { return &r.NamespaceSelector }
	assert.Equal(t, "Calico v3.30 has no namespaceSelector; v3.31 is the first release that does", V3(30).Without(selector))
	assert.Equal(t, V3(31), First(selector))
	assert.Equal(t, "v3.30.4", First(func(r *Rules) *bool { return &r.DisabledByAddress }).String())
}

func TestCaveat(t *testing.T) {
	assert.Contains(t, must(Parse("v3.16.5")).Caveat(), "v3.16.5 is answered as v3.22")
	assert.Contains(t, must(Parse("v3.40")).Caveat(), "v3.40 is answered as v3.33")
	assert.Empty(t, V3(22).Caveat())
	assert.Empty(t, Version(0).Caveat())
}
