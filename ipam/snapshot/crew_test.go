package snapshot

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam"
)

// TestCrew: however many read a file, the result is the same, problems and all.
func TestCrew(t *testing.T) {
	var asYAML, asJSON strings.Builder
	padding := strings.Repeat("x", 400)
	asYAML.WriteString("apiVersion: v1\nitems:\n")
	asJSON.WriteString(`{"apiVersion":"v1","kind":"List","items":[`)
	for i := range 3_000 {
		name := fmt.Sprintf("node-%d", i%2_990) // some are given twice
		label := fmt.Sprintf(`"%d"`, i)
		if i%500 == 20 {
			label = "{}" // no text
		}
		fmt.Fprintf(&asYAML, "- apiVersion: v1\n  kind: Node\n  metadata:\n    name: %s\n    labels: {num: %s, padding: %s}\n", name, label, padding)
		if i > 0 {
			asJSON.WriteString(",") // all in one line
		}
		fmt.Fprintf(&asJSON, `{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s","labels":{"num":%s,"padding":"%s"}},"status":{"addresses":[{"address":"10.%d.%d.1"}]}}`,
			name, label, padding, i/256, i%256)
	}
	asYAML.WriteString("kind: List\n")
	asJSON.WriteString("]}")
	for _, text := range []string{asYAML.String(), asJSON.String()} {
		require.Greater(t, len(text), 4*batchSize)
		var want *Snapshot
		for _, workers := range []int{1, 2, 7} {
			was := runtime.GOMAXPROCS(workers)
			s, err := read(Options{Lenient: true}, somePool, text, someAffinity)
			runtime.GOMAXPROCS(was)
			require.NoError(t, err)
			if want == nil {
				want = s
				require.Equal(t, 6+10, len(s.Problems))
				require.Equal(t, 3_002, s.Objects)
				require.Equal(t, ipam.Node{Name: "node-3", Labels: map[string]string{"num": "3", "padding": padding}}, s.Cluster.Nodes[indexOf(s, "node-3")], "the first counts")
			}
			require.True(t, fmt.Sprint(want.Problems) == fmt.Sprint(s.Problems), "problems differ")
			require.True(t, fmt.Sprintf("%+v", want.Cluster) == fmt.Sprintf("%+v", s.Cluster), "clusters differ")
			require.True(t, fmt.Sprint(want.Addresses) == fmt.Sprint(s.Addresses), "addresses differ")
		}
	}
}

func indexOf(s *Snapshot, node string) int {
	for i, n := range s.Cluster.Nodes {
		if n.Name == node {
			return i
		}
	}
	return -1
}
