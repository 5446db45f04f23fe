package race

import (
	"fmt"
	"math/big"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ipamsim/ipamsim/internal/storm"
)

// This file is the results of -storm, as a table and as JSON.

// stormJSON is what -json prints, a line a block size.
type stormJSON struct {
	Pool           string    `json:"pool"`
	BlockSize      int       `json:"blockSize"`
	Blocks         *big.Int  `json:"blocks"` // that the pool has room for
	Nodes          int       `json:"nodes"`
	Pods           int       `json:"pods"` // of all nodes together
	Filled         int       `json:"filled"`
	Strict         bool      `json:"strict"`
	Calico         string    `json:"calico"`
	Rate           float64   `json:"rate"`
	Burst          int       `json:"burst"`
	LatencySeconds float64   `json:"latencySeconds"`
	Seed           int64     `json:"seed"`
	Refused        int       `json:"refused"`
	Limited        int       `json:"refusedAtBlockLimit,omitempty"`
	costJSON                 // of all nodes together
	InTurn         int       `json:"inTurn"` // calls of the same pods one after the other
	Worst          worstJSON `json:"worst"`
	MedianSeconds  float64   `json:"medianSeconds"`
	LastSeconds    float64   `json:"lastSeconds"`
}

type worstJSON struct {
	Node string `json:"node"`
	costJSON
}

type costJSON struct {
	Calls     int `json:"calls"`
	Conflicts int `json:"conflicts"`
	Retries   int `json:"retries"`
}

func stormAsJSON(c *storm.Config, r *storm.Result) stormJSON {
	return stormJSON{
		Pool: c.Pool.String(), BlockSize: r.BlockSize, Blocks: new(big.Int).Lsh(big.NewInt(1), uint(r.BlockBits)),
		Nodes: c.Nodes, Pods: r.Pods, Filled: c.Filled, Strict: c.Strict, Calico: c.Calico.String(),
		Rate: c.Rate, Burst: c.Burst, LatencySeconds: c.Latency.Seconds(), Seed: c.Seed,
		Refused: r.Refused, Limited: r.Limited, costJSON: costJSON(r.Total), InTurn: r.InTurn, Worst: worstJSON{r.Worst.Name, costJSON(r.Worst.Cost)},
		MedianSeconds: r.Median.Seconds(), LastSeconds: r.Last.Seconds(),
	}
}

// drawStorm returns the table, without a newline at its end.
func drawStorm(results []storm.Result) string {
	t := table.NewWriter()
	header := table.Row{"BLOCKS", "CALLS", "IN\nTURN", "CON-\nFLICTS", "RETRIES", "WORST\nNODE", "MEDIAN", "LAST"}
	t.AppendHeader(header)
	var columns []table.ColumnConfig
	for i := range header {
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	for i := range results {
		r := &results[i]
		t.AppendRow(table.Row{
			blocks(r), r.Total.Calls, r.InTurn, r.Total.Conflicts, r.Total.Retries,
			fmt.Sprintf("%d, %d", r.Worst.Calls, r.Worst.Conflicts), seconds(r.Median), seconds(r.Last),
		})
	}
	return t.Render()
}

// blocks tells what blocks the pool has: 64 x /26.
func blocks(r *storm.Result) string {
	if r.BlockBits > 20 {
		return fmt.Sprintf("2^%d x /%d", r.BlockBits, r.BlockSize)
	}
	return fmt.Sprintf("%d x /%d", 1<<r.BlockBits, r.BlockSize)
}

// seconds writes a time with three digits, more for a long one.
func seconds(d time.Duration) string {
	if d >= 1000*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}
