package race

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/storm"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file is -storm in words.

// stormWidth is what prose keeps to, and the table of a storm of 1,000 nodes.
const stormWidth = 80

// reportStorm writes the results for people to read: the storm, a row a block size,
// and what is to be seen in them. Full are the block sizes that had no room.
func reportStorm(out io.Writer, c *storm.Config, results []storm.Result, full []int) {
	fmt.Fprintln(out, introduction(c))
	fmt.Fprintln(out, drawStorm(results))
	for _, sentence := range conclusions(c, results, full) {
		fmt.Fprintln(out, strings.Join(cli.Wrap(sentence, stormWidth), "\n"))
	}
}

// introduction tells what storm it is.
func introduction(c *storm.Config) string {
	condition := "empty"
	if c.Filled > 0 {
		condition = fmt.Sprintf("%d of 100 blocks full", c.Filled)
	}
	if c.Strict {
		condition += ", strict affinity"
	}
	release := ""
	if c.Calico != 0 {
		release = "\nCalico " + c.Calico.String()
	}
	return fmt.Sprintf("%s at once, %s each; pool %v, %s\n%g calls a second a node after a burst of %d, %v a call, seed %d%s",
		cli.Count(c.Nodes, "node"), cli.Count(c.Pods, "pod"), c.Pool, condition, c.Rate, c.Burst, c.Latency, c.Seed, release)
}

// conclusions says what is to be seen in the table.
func conclusions(c *storm.Config, results []storm.Result, full []int) []string {
	sentences := []string{contention(results), waiting(c, results)}
	if c.Filled > 0 {
		sentences = append(sentences, reading(results))
	}
	sentences = append(sentences, refusals(c, results)...)
	if len(full) > 0 {
		var sizes []string
		for _, size := range full {
			sizes = append(sizes, fmt.Sprintf("/%d", size))
		}
		sentences = append(sentences, fmt.Sprintf("Left out, for the pool has no room for so many pods: blocks of %s.", strings.Join(sizes, ", ")))
	}
	return sentences
}

// refusals says which pods have no address, and why.
func refusals(c *storm.Config, results []storm.Result) (sentences []string) {
	var limited, others []string
	for _, r := range results {
		if r.Limited > 0 {
			limited = append(limited, fmt.Sprintf("%d with %s", r.Limited, blocks(&r)))
		}
		if n := r.Refused - r.Limited; n > 0 {
			others = append(others, fmt.Sprintf("%d with %s", n, blocks(&r)))
		}
	}
	if len(limited) > 0 {
		sentences = append(sentences, fmt.Sprintf("Pods without an address: %s; a node may have %d blocks (maxBlocksPerHost), has them, and then borrows from no other node either.",
			strings.Join(limited, ", "), ipam.DefaultMaxBlocksPerHost))
	}
	if len(others) > 0 {
		why := "a node gives up after 100 conflicts, or when the block that it has claimed is full already"
		if c.Strict {
			why = "with strict affinity a node without a block cannot borrow"
		}
		sentences = append(sentences, fmt.Sprintf("Pods without an address: %s; %s.", strings.Join(others, ", "), why))
	}
	return sentences
}

// contention says what it costs that the pods ask at once.
func contention(results []storm.Result) string {
	excess := func(r storm.Result) float64 { return float64(r.Total.Calls) / float64(r.InTurn) }
	compare := func(x, y storm.Result) int { return cmp.Compare(excess(x), excess(y)) }
	most, least := slices.MaxFunc(results, compare), slices.MinFunc(results, compare)
	if most.Total.Retries == 0 {
		return "There is no contention: at once the pods take no more calls than one after the other (IN TURN)."
	}
	var vain []string
	if n := most.Total.Conflicts; n > 0 {
		vain = append(vain, cli.Count(n, "write")+" met a conflict")
	}
	if n := most.Total.Retries - most.Total.Conflicts; n > 0 {
		vain = append(vain, cli.Count(n, "claim")+" a block that another node had created first")
	}
	text := fmt.Sprintf("Contention costs most with %s: %.1f times the calls of the same pods one after the other (IN TURN), for %s.",
		blocks(&most), excess(most), strings.Join(vain, " and "))
	switch {
	case len(results) == 1:
		text = strings.Replace(text, "costs most with", "is costly with", 1)
	case least.Total.Retries == 0:
		text += fmt.Sprintf(" With %s it costs nothing.", blocks(&least))
	default:
		text += fmt.Sprintf(" It costs least with %s: %.1f times.", blocks(&least), excess(least))
	}
	return text
}

// waiting says how long the last pod waits, and for what.
func waiting(c *storm.Config, results []storm.Result) string {
	compare := func(x, y storm.Result) int { return cmp.Compare(x.Last, y.Last) }
	slow := slices.MaxFunc(results, compare)
	where := ", with " + blocks(&slow)
	if slow.Last == slices.MinFunc(results, compare).Last {
		where = "" // wherever it is
	}
	return fmt.Sprintf("The last pod waits %s%s: a node makes up to %s, of which its limit lets %d pass at once and then %g a second.",
		seconds(slow.Last), where, cli.Count(slow.Worst.Calls, "call"), c.Burst, c.Rate)
}

// reading says what a nearly full pool costs without any contention.
func reading(results []storm.Result) string {
	calls := func(r storm.Result) float64 { return float64(r.InTurn) / float64(r.Pods) }
	most := slices.MaxFunc(results, func(x, y storm.Result) int { return cmp.Compare(calls(x), calls(y)) })
	return fmt.Sprintf("In a pool this full a node reads block after block to find an address: even one after the other the pods take %.0f calls each with %s.",
		calls(most), blocks(&most))
}
