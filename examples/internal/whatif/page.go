package whatif

import (
	"bytes"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/examples/internal/plan"
	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// A page is the report of a live cluster.
type page struct {
	Title, About string
	Facts        []fact
	Rooms        []*room
	Levels       []level
	Maps         []poolMap
	Findings     []findings
	Notes        []string
	Families     []string
	Figures      [][]string

	Policy string
	CSS    template.CSS
}

type fact struct{ Name, Value string }

// level is a class of cells, by how full the block is.
type level struct{ Class, Text string }

// levels of fullness; the first is that of empty blocks.
var levels = []level{{"full0", "empty"}, {"full1", "up to a third in use"}, {"full2", "up to two thirds"}, {"full3", "more"}, {"full4", "full"}}

// poolMap is the map of one pool.
type poolMap struct {
	Name, CIDR, Says string
	Width, Height    int
	Cells            []cell
}

// cell is a block of the map.
type cell struct {
	X, Y, CX, CY int
	Class, Title string
	Lends        bool
}

// findings are those of one kind.
type findings struct {
	Title string
	Count int
	Says  []string
	Mend  string
}

const (
	cellsInRow = 64
	cellPitch  = 14
	// wholePool is up to how many blocks a pool is drawn with those that nobody has made.
	wholePool = 4096
	// maxCells is how many blocks of a pool are drawn.
	maxCells = 20_000
	// pageFindings is how many findings of a kind are named.
	pageFindings = 100
)

// writePage writes the cluster as one HTML page that needs nothing else: the same
// cluster, the same bytes.
func (w *world) writePage(out io.Writer, s *snapshot.Snapshot, r *result) error {
	f := w.last
	p := page{
		Title: "The cluster as it stands",
		About: fmt.Sprintf("As of %s. Calico %s: %s.", w.Clock().Now().Format(time.DateTime), r.Calico.Version, r.Calico.Why),
		Facts: []fact{
			{"nodes", cli.Number(f.Nodes)}, {"pods with addresses", cli.Number(f.Pods)}, {"strict affinity", onOff(f.Strict)},
		},
		Rooms: w.room(), Levels: levels, CSS: template.CSS(plan.Style() + pageCSS), Notes: slices.Clone(w.Report().Notes),
	}
	if len(r.Steps) > 0 {
		var steps []string
		for _, st := range r.Steps {
			steps = append(steps, st.Step)
		}
		p.Title, p.About = "The cluster after the changes", p.About+" After "+strings.Join(steps, " ")+"; the findings are those of before."
	}
	for _, of := range f.Families {
		p.Facts = append(p.Facts, fact{of.Family + " blocks left", of.Headroom.String()})
	}
	p.Families, p.Figures = f.familyTable()
	p.Maps = w.maps()
	p.findings(w.Report())
	for _, text := range []string{leftOutText(s), skippedText(s.Skipped)} {
		if text != "" {
			p.Notes = append(p.Notes, text)
		}
	}
	for _, of := range w.progress(w.a.State().Blocks) {
		text := of.text()
		if step := of.stepText(); step != "" {
			text += " " + step + "; -check has the commands."
		}
		p.Notes = append(p.Notes, text)
	}
	// Nothing but the page's own style, and nothing from anywhere else.
	p.Policy = fmt.Sprintf("default-src 'none'; style-src %s; base-uri 'none'; form-action 'none'", plan.Hash(string(p.CSS)))
	var text bytes.Buffer // so that nothing is written of a page that fails
	if err := pageTemplate.Execute(&text, &p); err != nil {
		return err
	}
	_, err := out.Write(text.Bytes())
	return err
}

// findings adds the findings by kind.
func (p *page) findings(r *snapshot.Report) {
	for i := range r.Findings {
		f := &r.Findings[i]
		last := len(p.Findings) - 1
		if last < 0 || p.Findings[last].Title != kindTitle(f.Kind) {
			p.Findings = append(p.Findings, findings{Title: kindTitle(f.Kind), Mend: f.Mend})
			last++
		}
		of := &p.Findings[last]
		if of.Count++; of.Count <= pageFindings {
			of.Says = append(of.Says, f.What)
		} else if of.Count == pageFindings+1 {
			of.Says = append(of.Says, "… and more; -check -json names all")
		}
	}
}

// kindTitle is a kind in words.
func kindTitle(k snapshot.Kind) string {
	text := strings.ReplaceAll(string(k), "-", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// maps draws the blocks of each pool, and those of no pool.
func (w *world) maps() []poolMap {
	s := w.a.State()
	isNode := make(map[string]bool)
	for _, n := range w.a.Nodes() {
		isNode[n.Name] = true
	}
	specs := w.a.Pools()
	of := make(map[string][]*ipam.BlockState)
	for i := range s.Blocks {
		name := ""
		if p := poolOf(specs, s.Blocks[i].CIDR.Addr()); p != nil {
			name = p.Name
		}
		of[name] = append(of[name], &s.Blocks[i])
	}
	var maps []poolMap
	for _, spec := range specs {
		maps = append(maps, mapOf(spec.Name, spec.CIDR.String(), of[spec.Name], &spec, isNode))
	}
	if len(of[""]) > 0 {
		maps = append(maps, mapOf("in no pool", "", of[""], nil, isNode))
	}
	return maps
}

// mapOf draws the blocks of a pool in the order of their addresses.
func mapOf(name, cidr string, blocks []*ipam.BlockState, spec *pool.Spec, isNode map[string]bool) poolMap {
	slices.SortFunc(blocks, func(x, y *ipam.BlockState) int {
		if c := x.CIDR.Addr().Compare(y.CIDR.Addr()); c != 0 {
			return c
		}
		return x.CIDR.Bits() - y.CIDR.Bits()
	})
	m := poolMap{Name: name, CIDR: cidr, Says: plural(len(blocks), "block")}
	at := make(map[netip.Prefix]bool)
	odd := 0
	for _, b := range blocks {
		at[b.CIDR] = true
		if spec != nil && b.CIDR.Bits() != spec.BlockSize {
			odd++
		}
	}
	add := func(c cell) {
		i := len(m.Cells)
		c.X, c.Y = i%cellsInRow*cellPitch+1, i/cellsInRow*cellPitch+1
		c.CX, c.CY = c.X+6, c.Y+6
		m.Cells = append(m.Cells, c)
	}
	next := 0
	if spec != nil {
		total := poolBlocks(*spec)
		m.Says = fmt.Sprintf("%s of %s of /%d", plural(len(blocks)-odd, "block"), total, spec.BlockSize)
		if odd > 0 {
			m.Says += fmt.Sprintf(", and %s of another size", plural(odd, "block"))
		}
		if total.IsInt64() && total.Int64() <= wholePool {
			for cidr := range pool.Blocks(spec.CIDR, spec.BlockSize) {
				for next < len(blocks) && !cidr.Addr().Less(blocks[next].CIDR.Addr()) {
					add(cellOf(blocks[next], isNode))
					next++
				}
				if !at[cidr] {
					add(cell{Class: "none", Title: cidr.String() + ": not made yet"})
				}
			}
		} else {
			m.Says += "; those that are not made yet are not drawn"
		}
	}
	for ; next < len(blocks); next++ {
		if len(m.Cells) == maxCells {
			m.Says += fmt.Sprintf("; the last %d are not drawn", len(blocks)-next)
			break
		}
		add(cellOf(blocks[next], isNode))
	}
	m.Width, m.Height = cellsInRow*cellPitch, (len(m.Cells)+cellsInRow-1)/cellsInRow*cellPitch
	return m
}

// cellOf draws a block.
func cellOf(b *ipam.BlockState, isNode map[string]bool) cell {
	size := len(b.Allocations) + len(b.Free)
	cooling := 0
	for _, al := range b.Allocations {
		if !al.ReleasedAt.IsZero() {
			cooling++
		}
	}
	held := len(b.Allocations)
	c := cell{Class: levels[0].Class}
	switch {
	case len(b.Free) == 0:
		c.Class = levels[4].Class
	case 3*held > 2*size:
		c.Class = levels[3].Class
	case 3*held > size:
		c.Class = levels[2].Class
	case held > 0:
		c.Class = levels[1].Class
	}
	owner := b.Owner.Name
	switch {
	case b.Owner.IsZero():
		owner = "nobody's"
		c.Class += " dead"
	case b.Owner.Type == affinity.Host && !isNode[owner] && len(isNode) > 0:
		owner += ", which is gone"
		c.Class += " dead"
	}
	c.Title = fmt.Sprintf("%s: %s; %d of %d in use", b.CIDR, owner, held-cooling, size)
	if cooling > 0 {
		c.Title += fmt.Sprintf(", %d cooling down", cooling)
	}
	if n := borrowedIn(b); n > 0 {
		c.Lends = true
		c.Title += fmt.Sprintf(", %d of these by other nodes", n)
	}
	return c
}
