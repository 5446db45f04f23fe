package race

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/protocol/explore"
)

const seededUsage = `Show a race of two or three hosts, one line a step and one column a client.

  go run ./examples/race -seed N|FILE [-schedule TEXT] [-save FILE] [-json]
  go run ./examples/race -seed N|FILE -explore [-deaths N] [-failures N] …
  go run ./examples/race -seed N|FILE -random N [-deaths N] …

  -seed N|FILE     the race that follows from a number, or one that -save wrote
  -schedule TEXT   whose call comes next, instead of the race's own schedule:
                     a        a's next call to the datastore
                     a*5 a*   five of them; all that a has left
                     a:dies   a dies before its next call; its host comes back
                     a:fails  a's next call is not carried out
                     a:lost   it is, and a is not told
                     a:stale  a reads what was there before the last write
                   who is not named goes on when the schedule ends
  -save FILE       write the race and the schedule that it took, for -seed
  -json            one JSON object and no table

  -explore         try every schedule, each state once
  -random N        try N schedules, most with few switches between clients
  -states N        at most so many states, 1 to 100000000 (1000000)
  -conflicts N     at most so many conflicts in one operation, 1 to 10 (2)
  -deaths N        at most so many clients die in a schedule (1)
  -failures N      at most so many calls fail or are not answered (0)
  -stale N         at most so many reads are old (0)

  go run ./examples/race -seed 7
  go run ./examples/race -seed 7 -schedule "a*4 b*9 a:dies b* a*"
  go run ./examples/race -seed 7 -explore -deaths 2

Exit status: 0, 1 an invariant does not hold, 2 bad usage, unreadable file or
unwritable output. Colours on a terminal, unless NO_COLOR is set.
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
}

// seeded is the program with -seed.
func seeded(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	r, err := parseSeeded(args, stdin)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, seededUsage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "race: %v (-seed 1 -h for help)\n", err)
		return 2
	}
	return r.do(stdout, stderr)
}

// do does what is asked for and returns the exit status.
func (r *request) do(stdout, stderr io.Writer) int {
	out := bufio.NewWriter(stdout)
	p := &page{out: out, colours: cli.Colours(stdout), json: r.json}
	var broken bool
	var err error
	if r.save != "" {
		if r.saved, err = cli.NewOutput("-save", r.save, stdout); err != nil {
			fmt.Fprintf(stderr, "race: %v\n", err)
			return 2
		}
	}
	if r.explore || r.random > 0 {
		broken, err = r.tryAll(p, stderr)
	} else {
		broken, err = r.show(p, r.chosen.Schedule)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintf(stderr, "race: %v\n", err)
		return 2
	}
	if broken {
		return 1
	}
	return 0
}

// parseSeeded reads the flags and what they name.
func parseSeeded(args []string, stdin io.Reader) (*request, error) {
	r := new(request)
	flags := flag.NewFlagSet("race", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&r.seed, "seed", "", "")
	schedule := flags.String("schedule", "", "")
	flags.StringVar(&r.save, "save", "", "")
	flags.BoolVar(&r.json, "json", false, "")
	flags.BoolVar(&r.explore, "explore", false, "")
	flags.IntVar(&r.random, "random", 0, "")
	flags.IntVar(&r.bounds.States, "states", explore.DefaultStates, "")
	flags.IntVar(&r.bounds.Conflicts, "conflicts", explore.DefaultConflicts, "")
	flags.IntVar(&r.bounds.Deaths, "deaths", 1, "")
	flags.IntVar(&r.bounds.Failures, "failures", 0, "")
	flags.IntVar(&r.bounds.Stale, "stale", 0, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	tries := given["explore"] || given["random"]
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%s: what for? A schedule is one argument, in quotes", flags.Arg(0))
	case given["explore"] && given["random"]:
		return nil, errors.New("-explore or -random, not both")
	case given["random"] && r.random < 1:
		return nil, fmt.Errorf("-random %d: want 1 or more schedules", r.random)
	case r.bounds.States < 1:
		return nil, fmt.Errorf("-states %d would explore forever, or nothing: want 1 or more", r.bounds.States)
	case r.bounds.Conflicts < 1:
		return nil, fmt.Errorf("-conflicts %d: want 1 or more", r.bounds.Conflicts)
	case tries && (given["schedule"] || given["save"]):
		return nil, errors.New("-explore and -random find schedules of their own: -schedule and -save are for one")
	}
	for _, name := range []string{"states", "conflicts", "deaths", "failures", "stale"} {
		if given[name] && !tries {
			return nil, fmt.Errorf("-%s is for -explore or -random", name)
		}
	}
	c, err := openCase(r.seed, stdin)
	if err != nil {
		return nil, err
	}
	if r.chosen = *c; given["schedule"] {
		r.schedule = true
		if r.chosen.Schedule, err = explore.ParseSchedule(*schedule); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// openCase returns the race of a number or in a file, - for standard input.
func openCase(seed string, stdin io.Reader) (*explore.Case, error) {
	if n, err := strconv.ParseInt(seed, 10, 64); err == nil {
		return explore.Scenario(n)
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
