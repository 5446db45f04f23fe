package plan

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// allReleases is the value of -calico that compares releases.
const allReleases = "all"

// comparedReleases are the releases that -calico all compares: one of each behaviour that
// shows in a plan (docs/calico.md §16).
var comparedReleases = []calico.Version{calico.V3(26), calico.V3(31), calico.V3(32), calico.V3(33)}

// release is a scenario on one release of Calico.
type release struct {
	Calico string      `json:"calico"`
	Error  string      `json:"error,omitempty"` // why it cannot be run there
	Fits   bool        `json:"fits"`            // as in a row
	Result *sim.Result `json:"result,omitempty"`
}

// comparison is a scenario on several releases.
type comparison struct {
	Scenario  sim.Scenario `json:"scenario"`
	BlockSize int          `json:"blockSize"`
	Releases  []release    `json:"releases"`
}

// fits reports whether the scenario fits, at one release at least.
func (of *comparison) fits() bool {
	return slices.ContainsFunc(of.Releases, func(r release) bool { return r.Fits })
}

// compareReleases runs every scenario on the compared releases, at one block size. Its
// error is [cli.ErrNo] if one of them fits at no release; that releases differ is none.
func compareReleases(ctx context.Context, o *options, entries []entry, stdout, stderr io.Writer) error {
	total := 0
	for i := range entries {
		total += requests(&entries[i].Scenario) * len(comparedReleases)
	}
	c := newCrew(ctx, o.workers, stderr, total)
	defer c.bar.Stop()
	out := bufio.NewWriter(stdout)
	var answer error
	for i := range entries {
		of, err := c.compareReleases(&entries[i].Scenario)
		if err != nil {
			return entries[i].wrong(err)
		}
		if !of.fits() {
			answer = cli.ErrNo
		}
		if i == len(entries)-1 {
			c.bar.Stop()
		}
		if o.json {
			if err := json.NewEncoder(out).Encode(of); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		of.write(out)
	}
	return cmp.Or(out.Flush(), answer)
}

// comparedSize returns the block size at which releases are compared: the one in question,
// or the best one where the pool is too small or too large for that.
func (c *crew) comparedSize(s *sim.Scenario) (int, error) {
	if size := question(s); len(s.Pools) > 0 || s.BlockSize != 0 || slices.Contains(sizes(s), size) {
		return size, nil
	}
	p, err := c.makePlan(&sim.Entry{Scenario: *s}, 0, extras{})
	if err != nil {
		return 0, err
	}
	return choose(p).BlockSize, nil
}

func (c *crew) compareReleases(s *sim.Scenario) (*comparison, error) {
	size, err := c.comparedSize(s)
	if err != nil {
		return nil, err
	}
	of := &comparison{Scenario: *s, BlockSize: size, Releases: make([]release, len(comparedReleases))}
	err = together(len(comparedReleases), func(i int) error {
		with := *s
		if len(s.Pools) == 0 {
			with.BlockSize = of.BlockSize
		}
		with.Calico = comparedReleases[i].String()
		of.Releases[i].Calico = with.Calico
		if err := with.Validate(); err != nil {
			if i == len(comparedReleases)-1 {
				return err // the newest release has everything: the scenario is wrong
			}
			of.Releases[i].Error = inWords(err)
			return nil
		}
		r, err := c.run(&with, sim.Options{}, requests(s))
		of.Releases[i].Result, of.Releases[i].Fits = &r, err == nil && fits(&r)
		return err
	})
	return of, err
}

// inWords says what is wrong with a scenario, the first thing of several.
func inWords(err error) string {
	var wrong *sim.InvalidError
	if errors.As(err, &wrong) {
		return wrong.Path + " " + wrong.Reason
	}
	return err.Error()
}

// write writes the comparison for people.
func (of *comparison) write(w io.Writer) {
	title := title(&of.Scenario)
	if of.BlockSize != 0 {
		title += fmt.Sprintf(", in blocks of /%d", of.BlockSize)
	}
	paragraph(w, title+".")
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line(t, "release", "claimed", "empty", "own", "borrowed", "refused", "no block", "routes")
	for _, r := range of.Releases {
		if r.Result != nil {
			line(t, r.Calico, cli.Number(r.Result.BlocksClaimed), none(r.Result.Blocks.Empty), cli.Number(r.Result.Own), none(r.Result.Borrowed),
				none(r.Result.Refused()), none(r.Result.NodesInNeed), cli.Number(r.Result.Routes))
		}
	}
	_ = t.Flush() // to a buffer
	for _, r := range of.Releases {
		if r.Error != "" {
			item(w, "  "+r.Calico+" ", r.Error)
		}
	}
	fmt.Fprintln(w)
	paragraph(w, of.verdict())
}

// verdict says what the releases make different, and whether it fits at none of them.
func (of *comparison) verdict() string {
	var last *release
	same, run := true, 0
	for i := range of.Releases {
		r := &of.Releases[i]
		if r.Result == nil {
			continue
		}
		same = same && (last == nil || r.Result.Totals == last.Result.Totals)
		last, run = r, run+1
	}
	none := ""
	if !of.fits() {
		short := shortcomings(sized(&of.Scenario, of.BlockSize), last.Result)
		none = fmt.Sprintf(" It fits at none of them: with %s, %s.", last.Calico, short)
		if run == 1 {
			none = fmt.Sprintf(" It does not fit there: %s.", short)
		}
	}
	switch {
	case run == 1:
		return "Only the newest release has all that this asks for." + none
	case same:
		return "The releases give the same here: no node met an empty block of another's when no unclaimed one was left, which is where they differ." + none
	}
	return "Since v3.32 a node that finds no unclaimed block takes an empty one from another node. Before, it borrows, or is refused where affinity is strict: empty blocks wait for the cleaning controller." + none
}
