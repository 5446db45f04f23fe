package predict

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A predictor brings nodes up one after the other on an empty cluster.
type predictor struct {
	cluster     *ipam.Allocator
	pool        *pool.Pool
	independent bool
	first       map[string]netip.Prefix // what nodes have got
}

// newPredictor makes a cluster with the nodes and the pool.
func newPredictor(o options, names []string) (*predictor, error) {
	p, err := pool.New(o.pool)
	if err != nil {
		return nil, cli.InFlags(err)
	}
	a := ipam.New(ipam.Options{Now: func() time.Time { return o.at }, Calico: o.calico})
	if err := a.SetPool(o.pool); err != nil {
		return nil, err
	}
	// Nodes without a block of their own must not get one by borrowing.
	if err := a.SetIPAMConfig(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := a.SetNode(ipam.Node{Name: name}); err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "ipam: ")) // the user knows no library
		}
	}
	return &predictor{a, p, o.independent, make(map[string]netip.Prefix, len(names))}, nil
}

// byClock reports whether the clock, and not the name, decides on the block.
func (p *predictor) byClock() bool { return p.pool.BlockSize() == p.pool.CIDR().Addr().BitLen() }

// next returns the first block of the node: the one that its first pod's
// address is from. A node that comes up again keeps its block.
func (p *predictor) next(node string) (netip.Prefix, error) {
	if block, ok := p.first[node]; ok {
		return block, nil
	}
	args := ipam.AutoAssignArgs{Host: node, Use: pool.Workload, Num4: 1}
	if !p.pool.Is4() {
		args.Num4, args.Num6 = 0, 1
	}
	v4, v6, err := p.cluster.AutoAssign(args)
	if err != nil {
		return netip.Prefix{}, err
	}
	got := append(v4.IPs, v6.IPs...)
	if len(got) == 0 {
		blocks := new(big.Int).Lsh(big.NewInt(1), uint(p.pool.BlockBits()))
		return netip.Prefix{}, fmt.Errorf("all blocks of %s (%v) belong to other nodes: it can only borrow addresses", p.pool.CIDR(), blocks)
	}
	block := got[0].Masked()
	if p.independent {
		if err := p.forget(node, got[0].Addr()); err != nil {
			return netip.Prefix{}, err
		}
	}
	p.first[node] = block
	return block, nil
}

// forget makes the cluster an empty one again.
func (p *predictor) forget(node string, ip netip.Addr) error {
	if _, _, err := p.cluster.ReleaseIPs(ipam.Release{IP: ip}); err != nil {
		return err
	}
	return p.cluster.RemoveIPAMHost(affinity.HostOwner(node))
}

// prediction is one object of the JSON output.
type prediction struct {
	Node  string `json:"node"`
	Block string `json:"block,omitempty"`
	Error string `json:"error,omitempty"`
}

// maxRefusals is how many of the nodes that get no block are named on standard
// error; there can be as many as nodes.
const maxRefusals = 20

// printAll writes the block of each node to out, and to standard error who gets none
// and why. It reports whether there was one. Errors of out stay in it.
func (o *options) printAll(cmd *cobra.Command, out *bufio.Writer, p *predictor, names []string) (refused bool, err error) {
	var bar *cli.Progress
	if !cli.Terminal(cmd.OutOrStdout()) { // where what is printed is progress enough
		bar = cli.NewCount(cmd.ErrOrStderr(), "nodes", int64(len(names)))
	}
	var told []string // what standard error is told when the bar is gone
	separator := "[\n"
	refusals := 0
	for i, name := range names {
		if i%1000 == 0 {
			if cmd.Context().Err() != nil {
				bar.Stop()
				return false, cli.ErrInterrupted
			}
			bar.Set(int64(i))
		}
		block, err := p.next(name)
		line := prediction{Node: name}
		if err != nil {
			line.Error = err.Error()
			if refusals++; refusals <= maxRefusals {
				told = append(told, fmt.Sprintf("%s: no block: %v", name, err))
			}
		} else {
			line.Block = block.String()
		}
		switch {
		case o.json:
			text, err := json.Marshal(line)
			if err != nil {
				panic(err) // three strings
			}
			out.WriteString(separator)
			out.Write(text)
			separator = ",\n"
		case err == nil:
			out.WriteString(name + "\t" + line.Block + "\n")
		}
	}
	bar.Stop()
	if o.json {
		out.WriteString("\n]\n")
	}
	if refusals > maxRefusals {
		told = append(told, fmt.Sprintf("and %s more nodes without a block; -json names them all", cli.Number(refusals-maxRefusals)))
	}
	for _, line := range told {
		cli.Warn(cmd, line)
	}
	return refusals > 0, nil
}
