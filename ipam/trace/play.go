package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/report"
)

// ErrUnknownOperation is matched where a recording asks for an operation that
// the format does not have.
var ErrUnknownOperation = errors.New("trace: unknown operation")

// A Player does the operations of a recording on an allocator of its own. Make
// one with [NewPlayer]. It is not safe for concurrent use.
type Player struct {
	allocator *ipam.Allocator
	clock     *ipam.Clock
}

// NewPlayer returns a player whose cluster is as the header sets it.
func NewPlayer(h Header) (*Player, error) {
	clock := ipam.NewClock(h.Start)
	p := &Player{allocator: ipam.New(ipam.Options{Now: clock.Now}), clock: clock}
	if h.Config != nil {
		// Whatever stands there was in force, however it came about.
		if err := p.allocator.PutIPAMConfig(h.Config.config()); err != nil {
			return nil, err
		}
	}
	for _, tp := range h.Pools {
		spec, err := tp.Spec()
		if err != nil {
			return nil, err
		}
		if err := p.allocator.SetPool(spec); err != nil {
			return nil, err
		}
	}
	for _, n := range h.Nodes {
		if err := p.allocator.SetNode(n.node()); err != nil {
			return nil, err
		}
	}
	p.allocator.SetReservations(h.Reservations)
	return p, nil
}

// Allocator returns the allocator that the player works on.
func (p *Player) Allocator() *ipam.Allocator { return p.allocator }

// Do does one operation and returns its outcome. An error means that the
// operation could not be understood: [ErrUnknownOperation], or arguments that
// do not parse. What the allocator refuses is an outcome.
func (p *Player) Do(op Op) (Out, error) {
	do, known := operations[op.Op]
	if !known {
		return Out{}, fmt.Errorf("%w %q", ErrUnknownOperation, op.Op)
	}
	out, err := do(p, &op.In)
	if err != nil {
		return Out{}, fmt.Errorf("%s: %w", op.Op, err)
	}
	return out, nil
}

// maxAdvance is how many seconds a clock can move at once: some 292 years.
const maxAdvance = int64(math.MaxInt64 / time.Second)

// code is the outcome of an operation that returns only an error.
func code(err error) (Out, error) { return Out{Err: ipam.Code(err)}, nil }

// operations is what each operation does: parse, call, write the outcome.
var operations = map[string]func(p *Player, in *In) (Out, error){
	"AutoAssign": func(p *Player, in *In) (Out, error) {
		args, err := in.autoAssign()
		if err != nil {
			return Out{}, err
		}
		return autoAssignOut(p.allocator.AutoAssign(args)), nil
	},
	"AssignIP": func(p *Player, in *In) (Out, error) {
		args, err := in.assignIP()
		if err != nil {
			return Out{}, err
		}
		return code(p.allocator.AssignIP(args))
	},
	"ReleaseIPs": func(p *Player, in *In) (Out, error) {
		releases, err := in.releases(p.allocator)
		if err != nil {
			return Out{}, err
		}
		return releaseOut(p.allocator.ReleaseIPs(releases...)), nil
	},
	"ReleaseByHandle": func(p *Player, in *In) (Out, error) {
		return code(p.allocator.ReleaseByHandle(in.Handle))
	},
	"IPsByHandle": func(p *Player, in *In) (Out, error) {
		ips, err := p.allocator.IPsByHandle(in.Handle)
		return Out{IPs: sorted(ips), Err: ipam.Code(err)}, nil
	},
	"GetAssignmentAttributes": withIP(func(p *Player, ip netip.Addr, in *In) Out {
		return attributesOut(p.allocator.GetAssignmentAttributes(ip))
	}),
	"SetOwnerAttributes": withIP(func(p *Player, ip netip.Addr, in *In) Out {
		update, pre := in.ownerUpdate()
		return Out{Err: ipam.Code(p.allocator.SetOwnerAttributes(ip, in.Handle, update, pre))}
	}),
	"ClaimAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return claimOut(p.allocator.ClaimAffinity(cidr, in.owner()))
	}),
	"ReleaseAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return Out{Err: ipam.Code(p.allocator.ReleaseAffinity(cidr, in.owner(), in.MustBeEmpty))}
	}),
	"ReleasePoolAffinities": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return Out{Err: ipam.Code(p.allocator.ReleasePoolAffinities(cidr))}
	}),
	"ReleaseBlockAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return Out{Err: ipam.Code(p.allocator.ReleaseBlockAffinity(cidr, in.MustBeEmpty))}
	}),
	"ReleaseHostAffinities": func(p *Player, in *In) (Out, error) {
		return code(p.allocator.ReleaseHostAffinities(in.owner(), in.MustBeEmpty))
	},
	"RemoveIPAMHost": func(p *Player, in *In) (Out, error) {
		return code(p.allocator.RemoveIPAMHost(in.owner()))
	},
	"EnsureBlock": func(p *Player, in *In) (Out, error) {
		args, err := in.ensureBlock()
		if err != nil {
			return Out{}, err
		}
		block4, block6, err := p.allocator.EnsureBlock(args)
		return Out{Block4: cidrText(block4), Block6: cidrText(block6), Err: ipam.Code(err)}, nil
	},
	"SetIPAMConfig": func(p *Player, in *In) (Out, error) {
		if in.Config == nil {
			return Out{}, errors.New("no config")
		}
		return code(p.allocator.SetIPAMConfig(in.Config.config()))
	},
	"SetPool": func(p *Player, in *In) (Out, error) {
		if in.Pool == nil {
			return Out{}, errors.New("no pool")
		}
		spec, err := in.Pool.Spec()
		if err != nil {
			return Out{}, err
		}
		return code(p.allocator.SetPool(spec))
	},
	"DeletePool": func(p *Player, in *In) (Out, error) {
		if in.Pool == nil {
			return Out{}, errors.New("no pool")
		}
		p.allocator.DeletePool(in.Pool.Name) // deleting what is not there is no error
		return Out{}, nil
	},
	"SetNode": func(p *Player, in *In) (Out, error) {
		if in.Node == nil {
			return Out{}, errors.New("no node")
		}
		return code(p.allocator.SetNode(in.Node.node()))
	},
	"DeleteNode": func(p *Player, in *In) (Out, error) {
		if in.Node == nil {
			return Out{}, errors.New("no node")
		}
		p.allocator.DeleteNode(in.Node.Name)
		return Out{}, nil
	},
	"SetReservations": func(p *Player, in *In) (Out, error) {
		p.allocator.SetReservations(in.Reservations)
		return Out{}, nil
	},
	"Advance": func(p *Player, in *In) (Out, error) {
		if in.Seconds > maxAdvance || in.Seconds < -maxAdvance {
			return Out{}, fmt.Errorf("seconds %d is not within %d to %d", in.Seconds, -maxAdvance, maxAdvance)
		}
		p.clock.Advance(time.Duration(in.Seconds) * time.Second)
		return Out{}, nil
	},
	"GarbageCollectColdIPs": func(p *Player, in *In) (Out, error) {
		p.allocator.GarbageCollectColdIPs()
		return Out{}, nil
	},
	"GetUtilization": func(p *Player, in *In) (Out, error) {
		return utilizationOut(p.allocator.GetUtilization()), nil
	},
	"PutAffinity": func(p *Player, in *In) (Out, error) {
		state, err := affinity.ParseState(in.State)
		if err != nil {
			return Out{}, err
		}
		return withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
			return Out{Err: ipam.Code(p.allocator.PutAffinity(in.owner(), cidr, state))}
		})(p, in)
	},
	"DropAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		p.allocator.DropAffinity(in.owner(), cidr)
		return Out{}
	}),
	"DropBlock": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		p.allocator.DropBlock(cidr)
		return Out{}
	}),
	"Show": func(p *Player, in *In) (Out, error) {
		shown, err := Show(p.allocator, in.State, in.IP)
		return Out{Shown: shown}, err
	},
	"State": func(p *Player, in *In) (Out, error) {
		return Out{State: StateOf(p.allocator.State())}, nil
	},
}

// Show prints what the operation of that name shows: "pools", "blocks",
// "borrowed", or "ip" with an address.
func Show(a *ipam.Allocator, what, ip string) (string, error) {
	switch what {
	case "pools":
		return report.Pools(a.GetUtilization()), nil
	case "blocks":
		return report.Blocks(a.GetUtilization()), nil
	case "borrowed":
		return report.Borrowed(a.State()), nil
	case "ip":
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return "", err
		}
		return report.IP(a, addr), nil
	}
	return "", fmt.Errorf("state %q is none of pools, blocks, borrowed, ip", what)
}

// withIP is an operation on the address in its arguments.
func withIP(do func(p *Player, ip netip.Addr, in *In) Out) func(*Player, *In) (Out, error) {
	return func(p *Player, in *In) (Out, error) {
		ip, err := netip.ParseAddr(in.IP)
		if err != nil {
			return Out{}, err
		}
		return do(p, ip, in), nil
	}
}

// withCIDR is an operation on the CIDR in its arguments.
func withCIDR(do func(p *Player, cidr netip.Prefix, in *In) Out) func(*Player, *In) (Out, error) {
	return func(p *Player, in *In) (Out, error) {
		cidr, err := netip.ParsePrefix(in.CIDR)
		if err != nil {
			return Out{}, err
		}
		return do(p, cidr, in), nil
	}
}

// A Divergence is an operation whose outcome was not the recorded one.
type Divergence struct {
	File string
	Op   Op     // the operation with the outcome that was wanted
	Got  Out    // what happened instead
	want string // both as they were compared
	got  string
}

// String returns where it is, what was asked, wanted and got, in four lines.
func (d *Divergence) String() string {
	return fmt.Sprintf("%s:%d: operation %d, %s\n  in:   %s\n  want: %s\n  got:  %s",
		d.File, d.Op.Line, d.Op.I, d.Op.Op, compact(d.Op.In), d.want, d.got)
}

// Result is what a replay found.
type Result struct {
	Operations  int
	Divergences []Divergence
}

// Replay does the whole recording on a fresh allocator and holds every outcome
// against the recorded one. It goes on after a divergence, though one may cause
// the next. Its error is about the recording: see [SyntaxError].
func Replay(r *Reader) (Result, error) {
	var result Result
	p, err := NewPlayer(r.Header())
	if err != nil {
		return result, &SyntaxError{r.Name(), r.headerAt, err}
	}
	for {
		op, err := r.Next()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		got, err := p.Do(op)
		if err != nil {
			return result, &SyntaxError{r.Name(), op.Line, err}
		}
		result.Operations++
		if w, g := op.Out.canonical(), got.canonical(); w != g {
			result.Divergences = append(result.Divergences, Divergence{r.Name(), op, got, w, g})
		}
	}
}
