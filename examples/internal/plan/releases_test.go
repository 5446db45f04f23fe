package plan

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// TestUpgradePage: docs/upgrade.md shows what the program prints.
func TestUpgradePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/upgrade.md")
	must.NoError(t, err)
	var out, wrong strings.Builder
	must.Zero(t, run([]string{"-f", "../../../testdata/upgrade.yaml", "-calico", "all"}, nil, &out, &wrong), must.Sprint(wrong.String()))
	must.StrContains(t, string(page), "$ ipamsim plan -f testdata/upgrade.yaml -calico all\n"+out.String()+"```\n")
}

// TestCompareReleases: a table where the releases agree, JSON, and a scenario with
// what older releases do not have.
func TestCompareReleases(t *testing.T) {
	var out, wrong strings.Builder
	must.Zero(t, run([]string{"-nodes", "4", "-pods", "4", "-pool", "10.0.0.0/24", "-calico", "all"}, nil, &out, &wrong), must.Sprint(wrong.String()))
	must.StrContains(t, out.String(), "The releases give the same here")
	must.Eq(t, 4, strings.Count(out.String(), "\n    v3."))

	out.Reset()
	must.Zero(t, run([]string{"-nodes", "3", "-pods", "4", "-cooldown", "1m", "-calico", "all", "-json"}, nil, &out, &wrong), must.Sprint(wrong.String()))
	var of comparison
	must.NoError(t, json.Unmarshal([]byte(out.String()), &of))
	must.Eq(t, 26, of.BlockSize)
	must.Len(t, 4, of.Releases)
	for i, r := range of.Releases {
		must.Eq(t, i < 3, r.Result == nil, must.Sprint(r.Calico))
		must.Eq(t, i == 3, r.Fits, must.Sprint(r.Calico))
		must.Eq(t, i < 3, strings.Contains(r.Error, "v3.33 is the first release that does"), must.Sprintf("%s: %s", r.Calico, r.Error))
	}
	out.Reset()
	must.Zero(t, run([]string{"-nodes", "3", "-pods", "4", "-cooldown", "1m", "-calico", "all"}, nil, &out, &wrong), must.Sprint(wrong.String()))
	must.StrContains(t, out.String(), "  v3.32 ipCooldownSeconds")
}

// TestReleasesStatus: the exit status is 1 if a scenario fits at no release, and 0 if it
// fits at some, whether they differ or not.
func TestReleasesStatus(t *testing.T) {
	small := file(t, "s.yaml", "pool: 10.0.0.0/24\nnodes: 30\npodsPerNode: 4\n")
	for args, want := range map[string]struct {
		status int
		says   string
	}{
		"-nodes 3 -pods 4 -pool 10.0.0.0/24":                   {cli.Fine, "The releases give the same here"},
		"-f ../../../testdata/upgrade.yaml":                    {cli.Fine, "Since v3.32 a node that finds no unclaimed block takes"},
		"-nodes 30 -pods 4 -pool 10.0.0.0/24":                  {cli.No, "differ. It fits at none of them:\nwith v3.33, 130 addresses are borrowed and 26 nodes have no block.\n"},
		"-nodes 30 -pods 4 -pool 10.0.0.0/24 -json":            {cli.No, `"fits":false`},
		"-nodes 30 -pods 4 -pool 10.0.0.0/24 -cooldown 1m":     {cli.No, "for. It does not fit there: 130\naddresses are borrowed and 26 nodes have no block.\n"},
		"-nodes 300 -pods 40 -pool 10.0.0.0/18 -block-size 26": {cli.No, "It fits at none of them"},
		"-nodes 2 -pods 3 -pool 10.0.0.0/28":                   {cli.Fine, "in\nblocks of /29."},
		"-nodes 2 -pods 300 -pool 10.0.0.0/28":                 {cli.No, "It fits at none of them"},
		"-f ../../../testdata/upgrade.yaml -f " + small:        {cli.No, "It fits at none of them"},
	} {
		var out, wrong strings.Builder
		must.Eq(t, want.status, run(append(strings.Fields(args), "-calico", "all"), nil, &out, &wrong), must.Sprintf("%s: %s", args, wrong.String()))
		must.StrContains(t, out.String(), want.says, must.Sprint(args))
	}
}

// TestOneRelease: a plan of an older release, and what it does not have.
func TestOneRelease(t *testing.T) {
	var out, wrong strings.Builder
	must.Zero(t, run([]string{"-nodes", "3", "-pods", "4", "-block-size", "28", "-calico", "v3.26", "-json"}, nil, &out, &wrong), must.Sprint(wrong.String()))
	var p plan
	must.NoError(t, json.Unmarshal([]byte(out.String()), &p))
	must.Eq(t, "v3.26", p.Scenario.Calico)

	must.Eq(t, 2, run([]string{"-cooldown", "1m", "-calico", "v3.28"}, nil, &out, &wrong))
	must.StrContains(t, wrong.String(), "v3.33 is the first release that does")
	for args, want := range map[string]string{
		"-calico tigera":                       "-calico tigera: must be a release of Calico such as v3.28 or v3.28.2, or all",
		"-calico all -wide":                    "-calico all: not with -wide: it prints a table of releases",
		"-f x.yaml -calico v3.28":              "-calico: of files only all, for they say the release of their scenarios: calico: v3.28",
		"-check -calico all ../../../plan.txt": "-calico all: not with -check",
	} {
		wrong.Reset()
		must.Eq(t, 2, run(strings.Fields(args), nil, &out, &wrong), must.Sprint(args))
		must.StrContains(t, wrong.String(), want, must.Sprint(args))
	}
}

// TestUncovered: a release without rules of its own is answered, with a warning.
func TestUncovered(t *testing.T) {
	var out, wrong strings.Builder
	status := run([]string{"-nodes", "3", "-pods", "4", "-pool", "10.0.0.0/24", "-calico", "v3.20"}, nil, &out, &wrong)
	must.Zero(t, status, must.Sprint(wrong.String()))
	must.StrContains(t, wrong.String(), "warning: Calico v3.20 is answered as v3.22: ")
}
