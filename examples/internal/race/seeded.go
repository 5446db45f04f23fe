package race

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/explore"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

const seededUsage = `Show a race of two or three hosts, one line a step and one column a client.

Usage: ipamsim race -seed N|FILE [-schedule TEXT] [-calico RELEASE] …
       ipamsim race -seed N|FILE -explore [-deaths N] [-failures N] …
       ipamsim race -seed N|FILE -random N [-deaths N] …

  ipamsim race -seed 7
  ipamsim race -seed 7 -schedule "a*4 b*9 a:dies b* a*"
  ipamsim race -seed 7 -explore -deaths 2
  ipamsim race -seed 7 -calico v3.28

A schedule says whose call comes next:

  a        a's next call to the datastore
  a*5 a*   five of them; all that a has left
  a:dies   a dies before its next call; its host comes back
  a:fails  a's next call is not carried out
  a:lost   it is, and a is not told
  a:stale  a reads what was there before the last write

Who is not named goes on when the schedule ends.

-explore and -random know the newest release of Calico only. In a race of one
before v3.33, what one ReleaseIPs frees may queue in any order, and may leave a
handle that counts too much.

Exit status: 0; 1 an invariant does not hold; 2 bad usage, unreadable file or
unwritable output; 130 interrupted. Colours on a terminal, unless NO_COLOR is
set.
`

// request is what the flags ask for.
type request struct {
	seed     string
	chosen   explore.Case
	schedule bool // whether the schedule is not the race's own
	save     string
	saved    *cli.Output // of save, if there is one
	json     bool
	explore  bool
	random   int
	bounds   explore.Bounds
	options  explore.Options
	calico   calico.Version
	given    bool // whether -calico is
	other    bool // whether the schedule is of another release than the one asked for
}

// race is the program with -seed.
func (o *options) race(cmd *cobra.Command, args []string) error {
	r, err := o.request(cmd, args)
	if err != nil {
		return cli.Usage(err)
	}
	return cli.Wait(cmd.Context(), func() error { return r.do(cmd) })
}

// do does what is asked for.
func (r *request) do(cmd *cobra.Command) error {
	stdout := cmd.OutOrStdout()
	out := bufio.NewWriter(stdout)
	p := &page{out: out, colours: cli.Colours(stdout), json: r.json, program: cli.Sibling(cmd, "race")}
	var broken bool
	var err error
	if r.save != "" {
		if r.saved, err = cli.NewOutput("-o", r.save, stdout); err != nil {
			return err
		}
	}
	if r.explore || r.random > 0 {
		broken, err = r.tryAll(p, cmd.ErrOrStderr())
	} else {
		broken, err = r.show(p, r.chosen.Schedule)
	}
	if err := cmp.Or(err, out.Flush()); err != nil {
		return err
	}
	if broken {
		return cli.ErrNo
	}
	return nil
}

// request returns what the flags ask for.
func (o *options) request(cmd *cobra.Command, args []string) (*request, error) {
	r := &o.small
	r.seed, r.json = o.seed, o.json
	given := cmd.Flags().Changed
	tries := given("explore") || given("random")
	switch {
	case len(args) > 0:
		return nil, fmt.Errorf("%s: what for? A schedule is one argument, in quotes", args[0])
	case given("explore") && given("random"):
		return nil, errors.New("-explore or -random, not both")
	case given("random") && r.random < 1:
		return nil, fmt.Errorf("-random %d: want 1 or more schedules", r.random)
	case r.bounds.States < 1:
		return nil, fmt.Errorf("-states %d would explore forever, or nothing: want 1 or more", r.bounds.States)
	case r.bounds.Conflicts < 1:
		return nil, fmt.Errorf("-conflicts %d: want 1 or more", r.bounds.Conflicts)
	case tries && (given("schedule") || given("output")):
		return nil, errors.New("-explore and -random find schedules of their own: -schedule and -o are for one")
	}
	for _, name := range []string{"states", "conflicts", "deaths", "failures", "stale"} {
		if given(name) && !tries {
			return nil, fmt.Errorf("-%s is for -explore or -random", name)
		}
	}
	if r.calico = o.calico; tries && r.calico.Rules() != calico.Version(0).Rules() {
		return nil, fmt.Errorf("-calico %s: -explore and -random know the newest release only, %s; -schedule tries one schedule of %[1]s",
			r.calico, calico.Version(0))
	}
	c, err := openCase(r.seed, r.calico, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	r.given = given("calico")
	r.other = r.given && c.Program.Setting.Calico != r.calico.String()
	if r.chosen = *c; r.given {
		r.chosen.Program.Setting.Calico = r.calico.String()
	}
	if given("schedule") {
		r.schedule = true
		if r.chosen.Schedule, err = explore.ParseSchedule(o.text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// openCase returns the race of a number, of the release, or the one in a file, - for
// standard input.
func openCase(seed string, calico calico.Version, stdin io.Reader) (*explore.Case, error) {
	if n, err := strconv.ParseInt(seed, 10, 64); err == nil {
		return explore.Scenario(n, calico)
	}
	if seed == "" {
		return nil, errors.New("-seed: want a number or a file")
	}
	if seed == "-" {
		return explore.ReadCase("standard input", stdin)
	}
	f, err := os.Open(seed)
	if err != nil {
		return nil, fmt.Errorf("-seed: neither a number nor a file: %w", err)
	}
	defer f.Close()
	return explore.ReadCase(seed, f)
}
