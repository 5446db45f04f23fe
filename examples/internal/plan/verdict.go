package plan

import (
	"fmt"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// judge says which block size to take, and why, or what there is against the only
// one.
func judge(p *plan) verdict {
	if !p.compared() && len(p.Rows) == 1 {
		return judgeOne(p)
	}
	var v verdict
	best, standard := choose(p), common(&p.Scenario)
	size := best.BlockSize
	less := notRun(&p.Scenario)
	if best.Fits {
		name := fmt.Sprintf("Take /%d", size)
		switch {
		case less != "" && p.at(standard) == nil && len(p.Rows) == 1:
			name = fmt.Sprintf("/%d fits", size)
		case less != "" && p.at(standard) == nil:
			name = fmt.Sprintf("Of the block sizes that were run /%d is best", size)
		default:
			v.BlockSize = size
		}
		if size == standard {
			name += ", Calico's default"
		}
		v.Text = append(v.Text, fmt.Sprintf("%s: %s.%s", name, good(&best.Result), room(best.Result.Headroom)))
	} else {
		short := shortcomings(sized(&p.Scenario, size), &best.Result)
		none := "No block size fits"
		if less != "" {
			none = "No block size that was run fits"
		}
		text := fmt.Sprintf(none+": with each of them addresses are borrowed or refused, or nodes have no block. Best is /%d: %s; there %s.",
			size, short, are(routes(&best.Result.Totals), best.Result.Routes))
		if best.Result.Refused() > 0 {
			text = fmt.Sprintf(none+": with each of them requests are refused. Fewest are with /%d: %s; there %s.",
				size, short, are(routes(&best.Result.Totals), best.Result.Routes))
		}
		v.Text = append(v.Text, text)
	}
	if less != "" {
		v.Text = append(v.Text, less+".")
	}
	v.Text = append(v.Text, reuse(&p.Scenario, &best.Result)...)
	switch r := p.at(standard); {
	case size == standard:
	case r != nil:
		v.Text = append(v.Text, fmt.Sprintf("Calico's default, /%d, %s", standard, how(sized(&p.Scenario, standard), r)))
	case p.compared() && p.Rows[0].BlockSize > standard:
		v.Text = append(v.Text, fmt.Sprintf("The pool is smaller than a block of Calico's default, /%d.", standard))
	}
	return v
}

// judgeOne is judge for a scenario at one block size.
func judgeOne(p *plan) verdict {
	var v verdict
	r := &p.Rows[0]
	name := "It"
	if r.BlockSize > 0 {
		name = fmt.Sprintf("/%d", r.BlockSize)
	}
	text := name + " " + how(&p.Scenario, r)
	if r.Fits {
		v.BlockSize = r.BlockSize
		text = fmt.Sprintf("%s fits: %s.%s", name, good(&r.Result), room(r.Result.Headroom))
	}
	v.Text = append(append(v.Text, text), reuse(&p.Scenario, &r.Result)...)
	return v
}

// reuse says how soon an address was given out again where pods restart, in a
// paragraph; none if none was.
func reuse(s *sim.Scenario, r *sim.Result) []string {
	if r.ReuseGap == nil || s.Churn == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s given back; the soonest that one was given out again was after %s.",
		were(r.Released), short(*r.ReuseGap))}
}

// were says that so many addresses were.
func were(n int) string {
	if n == 1 {
		return "1 address was"
	}
	return addresses(n) + " were"
}

// good says what is good about a row that fits.
func good(r *sim.Result) string {
	if r.Requests == 0 {
		return "nobody asks for an address"
	}
	but := ""
	if r.Moved > 0 {
		but = ", but for virtual machines that moved"
	}
	return fmt.Sprintf("every request gets an address from a block of its node's own%s, with %s", but, routes(&r.Totals))
}

// room says how much more would fit, in a sentence after another: how much with blocks
// of the nodes' own, and where that is less, how much before a request is refused.
func room(h *sim.Headroom) string {
	if h == nil {
		return ""
	}
	nodes := space{h.NodesFit, h.Nodes, h.NodesAtLeast, "node", " like these"}
	pods := space{h.PodsFit, h.PodsPerNode, h.PodsAtLeast, "pod", " on every node"}
	const refused = " before a request is refused"
	switch {
	case nodes.unknown() && pods.unknown():
		return ""
	case nodes.unknown():
		return pods.alone("")
	case pods.unknown():
		return nodes.alone("")
	case nodes.all == 0 && pods.all == 0:
		return " There is no room for another node like these, nor for another pod on every node."
	case pods.all == 0:
		return nodes.alone(", but not for another pod on every node")
	case nodes.all == 0:
		return pods.alone(", but not for another node")
	case nodes.plain() && pods.plain():
		return fmt.Sprintf(" There is room for %s, or %s,%s.", nodes, pods, refused)
	}
	return fmt.Sprintf(" There is room for %s; or for %s.", nodes, pods)
}

// space is how many more nodes there is room for, or pods.
type space struct {
	fit, all int
	atLeast  bool   // all is where the search ended
	noun     string // of one
	where    string
}

// unknown reports whether there is nothing to say.
func (s space) unknown() bool { return s.all == sim.NoEnd || s.all == 0 && s.atLeast }

// plain reports whether all of them fit.
func (s space) plain() bool { return s.fit == s.all }

// String writes how many.
func (s space) String() string {
	all := cli.Number(s.all)
	if s.atLeast {
		all = "at least " + all
	}
	if s.plain() {
		if s.all != 1 {
			return fmt.Sprintf("%s more %ss%s", all, s.noun, s.where)
		}
		return fmt.Sprintf("%s more %s%s", all, s.noun, s.where)
	}
	own := cli.Count(s.fit, "more "+s.noun)
	if s.fit == 0 {
		own = fmt.Sprintf("no more %ss", s.noun)
	}
	own += s.where
	switch {
	case s.noun == "pod":
		own += " from its own blocks"
	case s.fit == 1:
		own += " with blocks of its own"
	default:
		own += " with blocks of their own"
	}
	return fmt.Sprintf("%s, %s before a request is refused", own, all)
}

// alone is a sentence of them, and what there is no room for.
func (s space) alone(but string) string {
	text := s.String()
	if s.plain() {
		text += " before a request is refused"
	}
	return " There is room for " + text + but + "."
}

// are puts what there is of n in a sentence.
func are(text string, n int) string {
	if n == 1 {
		return "is " + text
	}
	return "are " + text
}

// how says how a row fares, after its name.
func how(s *sim.Scenario, r *row) string {
	if r.Fits {
		return fmt.Sprintf("fits as well, with %s.%s", routes(&r.Result.Totals), room(r.Result.Headroom))
	}
	text := "does not fit: "
	if m := first(&r.Result); m != nil {
		text += fmt.Sprintf("the %s request, for %s, is the first to be %s, for %s. ", ordinal(m.Request), whose(m), became(m), because(s, &r.Result, m))
		if m.Outcome == "borrowed" && r.Result.FirstRefusal != nil {
			m := r.Result.FirstRefusal
			text += fmt.Sprintf("The %s is the first to be refused: %s. ", ordinal(m.Request), because(s, &r.Result, m))
		}
		return text + fmt.Sprintf("In the end %s; there %s.", shortcomings(s, &r.Result), are(routes(&r.Result.Totals), r.Result.Routes))
	}
	return text + shortcomings(s, &r.Result) + "."
}
