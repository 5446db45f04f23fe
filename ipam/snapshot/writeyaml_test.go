package snapshot

import (
	"bytes"
	"testing"

	"github.com/shoenig/test/must"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// oddText draws texts that YAML may take for something else.
func oddText() *rapid.Generator[string] {
	words := []string{"true", "null", "y", "No", "on", "1", "1.5", "0x1f", "1:30", "2026-01-01", "~", "<<", "*a", "&a", "- a", "a: b", "a #b", "10.0.0.0/26", "fd00::/122", "fd00::"}
	runes := []rune("a \n\t\r#:-'\"\\\u0085\u2028\u2029\ufeff\x00\x07\x7f\u00a0\u00e9\U0001f600|>%@!&*~{}[],?0n\ufffe\uffff\ue000\u200b")
	return rapid.OneOf(rapid.SampledFrom(words), rapid.StringOfN(rapid.SampledFrom(runes), 0, 8, -1))
}

// TestOddTexts: any text goes out and in again as the same, as key and as value.
func TestOddTexts(t *testing.T) {
	property.Slow(t)
	rapid.Check(t, func(rt *rapid.T) {
		labels := rapid.MapOfN(oddText(), oddText(), 1, 4).Draw(rt, "labels")
		circle(t, ipam.Cluster{Config: ipam.DefaultConfig(), Nodes: []ipam.Node{{Name: "a", Labels: labels}}}, forms...)
	})
}

// TestTextsThatTheLibraryBreaks: without quotedNode these would be lost.
func TestTextsThatTheLibraryBreaks(t *testing.T) {
	for _, text := range []string{"\t\nx", "a\u2028b"} {
		o := tree{"apiVersion": "v1", "kind": "Node", "metadata": tree{"name": "a", "labels": map[string]string{"k": text}}}
		plain, err := yaml.Marshal([]any{o})
		must.NoError(t, err)
		s, err := read(Options{}, "items:\n"+string(plain)+"kind: List\n")
		must.True(t, err != nil || s.Cluster.Nodes[0].Labels["k"] != text, must.Sprintf("the library writes %q well by now", text))

		var quoted bytes.Buffer
		must.NoError(t, writeItem(&quoted, o))
		s, err = read(Options{}, "items:\n"+quoted.String()+"kind: List\n")
		must.NoError(t, err)
		must.Eq(t, text, s.Cluster.Nodes[0].Labels["k"])
	}
}
