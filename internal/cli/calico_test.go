package cli

import (
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam/calico"
)

func TestCalico(t *testing.T) {
	for text, want := range map[string]string{"v3.26": "v3.26", "3.31.7": "v3.31.7", "master": "v3.33"} {
		v := calico.V3(28)
		cmd := New("sample", "a sample", "A sample.\n\nUsage: ipamsim sample [flags]\n")
		Calico(cmd, &v, "the release")
		must.Eq(t, "v3.28", cmd.Flags().Lookup("calico").DefValue)
		must.NoError(t, cmd.Flags().Set("calico", text))
		must.Eq(t, want, v.String())
	}
	cmd := New("sample", "a sample", "A sample.\n\nUsage: ipamsim sample [flags]\n")
	Calico(cmd, new(calico.Version), "the release")
	must.Error(t, cmd.Flags().Set("calico", ""), must.Sprint("an unset variable"))
	err := cmd.Flags().Set("calico", "tigera")
	must.ErrorContains(t, err, "must be a release of Calico such as v3.28 or v3.28.2")
}
