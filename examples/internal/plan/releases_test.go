package plan

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUpgradePage: docs/upgrade.md shows what the program prints.
func TestUpgradePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/upgrade.md")
	require.NoError(t, err)
	var out, wrong strings.Builder
	require.Zero(t, run([]string{"-f", "../../../testdata/upgrade.yaml", "-calico", "all"}, nil, &out, &wrong), wrong.String())
	require.Contains(t, string(page), "$ ipamsim plan -f testdata/upgrade.yaml -calico all\n"+out.String()+"```\n")
}

// TestCompareReleases: a table where the releases agree, JSON, and a scenario with
// what older releases do not have.
func TestCompareReleases(t *testing.T) {
	var out, wrong strings.Builder
	require.Zero(t, run([]string{"-nodes", "30", "-pods", "4", "-pool", "10.0.0.0/24", "-calico", "all"}, nil, &out, &wrong), wrong.String())
	require.Contains(t, out.String(), "The releases give the same here")
	require.Equal(t, 4, strings.Count(out.String(), "\n    v3."))

	out.Reset()
	require.Zero(t, run([]string{"-nodes", "3", "-pods", "4", "-cooldown", "1m", "-calico", "all", "-json"}, nil, &out, &wrong), wrong.String())
	var of comparison
	require.NoError(t, json.Unmarshal([]byte(out.String()), &of))
	require.Equal(t, 26, of.BlockSize)
	require.Len(t, of.Releases, 4)
	for i, r := range of.Releases {
		require.Equal(t, i < 3, r.Result == nil, r.Calico)
		require.Equal(t, i < 3, strings.Contains(r.Error, "v3.33 is the first release that does"), "%s: %s", r.Calico, r.Error)
	}
	out.Reset()
	require.Zero(t, run([]string{"-nodes", "3", "-pods", "4", "-cooldown", "1m", "-calico", "all"}, nil, &out, &wrong), wrong.String())
	require.Contains(t, out.String(), "  v3.32 ipCooldownSeconds")
}

// TestOneRelease: a plan of an older release, and what it does not have.
func TestOneRelease(t *testing.T) {
	var out, wrong strings.Builder
	require.Zero(t, run([]string{"-nodes", "3", "-pods", "4", "-block-size", "28", "-calico", "v3.26", "-json"}, nil, &out, &wrong), wrong.String())
	var p plan
	require.NoError(t, json.Unmarshal([]byte(out.String()), &p))
	require.Equal(t, "v3.26", p.Scenario.Calico)

	require.Equal(t, 2, run([]string{"-cooldown", "1m", "-calico", "v3.28"}, nil, &out, &wrong))
	require.Contains(t, wrong.String(), "v3.33 is the first release that does")
	for args, want := range map[string]string{
		"-calico tigera":                       "-calico tigera: must be a release of Calico such as v3.28 or v3.28.2, or all",
		"-calico all -wide":                    "-calico all: not with -wide: it prints a table of releases",
		"-f x.yaml -calico v3.28":              "-calico: of files only all, for they say the release of their scenarios: calico: v3.28",
		"-check -calico all ../../../plan.txt": "-calico all: not with -check",
	} {
		wrong.Reset()
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &wrong), args)
		require.Contains(t, wrong.String(), want, args)
	}
}

// TestUncovered: a release without rules of its own is answered, with a warning.
func TestUncovered(t *testing.T) {
	var out, wrong strings.Builder
	status := run([]string{"-nodes", "3", "-pods", "4", "-pool", "10.0.0.0/24", "-calico", "v3.20"}, nil, &out, &wrong)
	require.Zero(t, status, wrong.String())
	require.Contains(t, wrong.String(), "warning: Calico v3.20 is answered as v3.22: ")
}
