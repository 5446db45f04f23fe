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
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/report"
)

// ErrUnknownOperation is matched if a recording has an operation that the format
// does not have.
var ErrUnknownOperation = errors.New("trace: unknown operation")

// A Player does the operations of a recording on an engine. Make one with
// [NewPlayer] or [PlayOn]. It is not safe for concurrent use.
type Player struct {
	engine Engine
	clock  *ipam.Clock
	nodes  nodes

	recorded *Out // the outcome of the operation under way, as recorded; its zero value for none

	// Kubernetes' side, if the engine is an allocator and Set was called.
	cluster    *lifecycle.Cluster
	controller *lifecycle.Controller
}

// ErrSnapshot is matched if a recording begins with a snapshot, which only the
// caller can find.
var ErrSnapshot = errors.New("trace: begins with a snapshot")

// NewPlayer returns a player on an allocator of its own, with the cluster of the
// header; [ErrSnapshot] if that is in a snapshot.
func NewPlayer(h Header) (*Player, error) {
	clock := ipam.NewClock(h.Start)
	o, err := h.Options(clock)
	if err != nil {
		return nil, err
	}
	p := PlayOn(ipam.New(o), clock)
	if err := p.Set(h); err != nil {
		return nil, err
	}
	return p, nil
}

// Options returns the options of the allocator that was recorded, on that clock:
// those of the header's release of Calico. The error matches
// [codes.InvalidArgument] if it names no release.
func (h *Header) Options(clock *ipam.Clock) (ipam.Options, error) {
	v, err := calico.Parse(h.Calico)
	return ipam.Options{Now: clock.Now, Calico: v}, err
}

// PlayOn returns a player on the caller's engine, whose clock the operation
// Advance moves.
func PlayOn(e Engine, clock *ipam.Clock) *Player {
	return &Player{engine: e, clock: clock, nodes: e}
}

// Set sets up the cluster of the header in the engine, which must be empty;
// [ErrSnapshot] if that is in a snapshot. It does not move the clock.
func (p *Player) Set(h Header) error {
	if h.Snapshot != "" {
		return fmt.Errorf("%w, %q: play it with PlayOn", ErrSnapshot, h.Snapshot)
	}
	if h.Config != nil {
		// The recorded configuration was in force, even if SetIPAMConfig refuses
		// it.
		if err := p.engine.PutIPAMConfig(*h.Config); err != nil {
			return err
		}
	}
	for _, tp := range h.Pools {
		spec, err := tp.Spec()
		if err != nil {
			return err
		}
		if err := p.engine.SetPool(spec); err != nil {
			return err
		}
	}
	for _, n := range h.Nodes {
		if err := p.engine.SetNode(n); err != nil {
			return err
		}
	}
	p.engine.SetReservations(h.Reservations)
	return p.oversee(&h)
}

// Engine returns the engine that the player works on.
func (p *Player) Engine() Engine { return p.engine }

// Do does one operation and returns its outcome. An error means that the operation
// is invalid: [ErrUnknownOperation], or arguments that do not parse. An error of
// the allocator is an outcome.
func (p *Player) Do(op Op) (Out, error) {
	do, known := operations[op.Op]
	if !known {
		return Out{}, fmt.Errorf("%w %q", ErrUnknownOperation, op.Op)
	}
	if op.Op == "State" && op.In.State == "" && op.Out.State != nil && op.Out.State.numbered() {
		op.In.State = "numbered"
	}
	p.recorded = &op.Out
	out, err := do(p, &op.In)
	if err != nil {
		return Out{}, fmt.Errorf("%s: %w", op.Op, err)
	}
	return out, nil
}

// maxAdvance is the greatest number of seconds of one Advance: some 292 years.
const maxAdvance = int64(math.MaxInt64 / time.Second)

// code is the outcome of an operation that returns only an error.
func code(err error) (Out, error) { return Out{Err: codeOf(err)}, nil }

// operations has the implementation of each operation: parse, call, write the
// outcome.
var operations = map[string]func(p *Player, in *In) (Out, error){
	"AutoAssign": func(p *Player, in *In) (Out, error) {
		args, err := in.autoAssign()
		if err != nil {
			return Out{}, err
		}
		return autoAssignOut(p.engine.AutoAssign(args)), nil
	},
	"AssignIP": func(p *Player, in *In) (Out, error) {
		args, err := in.assignIP()
		if err != nil {
			return Out{}, err
		}
		return code(p.engine.AssignIP(args))
	},
	"ReleaseIPs": func(p *Player, in *In) (Out, error) {
		releases, err := in.releases(p.engine, p.recorded)
		if err != nil {
			return Out{}, err
		}
		return releaseOut(p.engine.ReleaseIPs(releases...)), nil
	},
	"ReleaseByHandle": func(p *Player, in *In) (Out, error) {
		return code(p.engine.ReleaseByHandle(in.Handle))
	},
	"IPsByHandle": func(p *Player, in *In) (Out, error) {
		ips, err := p.engine.IPsByHandle(in.Handle)
		return Out{IPs: sorted(ips), Err: codeOf(err)}, nil
	},
	"GetAssignmentAttributes": withIP(func(p *Player, ip netip.Addr, in *In) Out {
		return attributesOut(p.engine.GetAssignmentAttributes(ip))
	}),
	"SetOwnerAttributes": withIP(func(p *Player, ip netip.Addr, in *In) Out {
		update, pre := in.ownerUpdate()
		return Out{Err: codeOf(p.engine.SetOwnerAttributes(ip, in.Handle, update, pre))}
	}),
	"ClaimAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return claimOut(p.engine.ClaimAffinity(cidr, in.owner()))
	}),
	"ReleaseAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return Out{Err: codeOf(p.engine.ReleaseAffinity(cidr, in.owner(), in.MustBeEmpty))}
	}),
	"ReleasePoolAffinities": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		return Out{Err: codeOf(p.engine.ReleasePoolAffinities(cidr))}
	}),
	"ReleaseBlockAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		if in.Host != "" { // the owner in the block that the caller has read
			return Out{Err: codeOf(p.engine.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: cidr, Owner: in.owner()}, in.MustBeEmpty))}
		}
		return Out{Err: codeOf(p.engine.ReleaseBlockAffinity(cidr, in.MustBeEmpty))}
	}),
	"ReleaseHostAffinities": func(p *Player, in *In) (Out, error) {
		return code(p.engine.ReleaseHostAffinities(in.owner(), in.MustBeEmpty))
	},
	"RemoveIPAMHost": func(p *Player, in *In) (Out, error) {
		return code(p.engine.RemoveIPAMHost(in.owner()))
	},
	"EnsureBlock": func(p *Player, in *In) (Out, error) {
		args, err := in.ensureBlock()
		if err != nil {
			return Out{}, err
		}
		block4, block6, err := p.engine.EnsureBlock(args)
		return Out{Block4: cidrText(block4), Block6: cidrText(block6), Err: codeOf(err)}, nil
	},
	"SetIPAMConfig": func(p *Player, in *In) (Out, error) {
		if in.Config == nil {
			return Out{}, errors.New("no config")
		}
		return code(p.engine.SetIPAMConfig(*in.Config))
	},
	"SetPool": func(p *Player, in *In) (Out, error) {
		if in.Pool == nil {
			return Out{}, errors.New("no pool")
		}
		spec, err := in.Pool.Spec()
		if err != nil {
			return Out{}, err
		}
		return code(p.engine.SetPool(spec))
	},
	"DeletePool": func(p *Player, in *In) (Out, error) {
		if in.Pool == nil {
			return Out{}, errors.New("no pool")
		}
		p.engine.DeletePool(in.Pool.Name) // deleting a missing object is no error
		return Out{}, nil
	},
	"SetNode": func(p *Player, in *In) (Out, error) {
		if in.Node == nil {
			return Out{}, errors.New("no node")
		}
		return code(p.nodes.SetNode(*in.Node))
	},
	"DeleteNode": func(p *Player, in *In) (Out, error) {
		if in.Node == nil {
			return Out{}, errors.New("no node")
		}
		p.nodes.DeleteNode(in.Node.Name)
		return Out{}, nil
	},
	"SetReservations": func(p *Player, in *In) (Out, error) {
		p.engine.SetReservations(in.Reservations)
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
		blocks, err := prefixes(in.CIDRs)
		if err != nil {
			return Out{}, err
		}
		p.engine.GarbageCollectColdIPs(blocks...)
		return Out{}, nil
	},
	"GetUtilization": func(p *Player, in *In) (Out, error) {
		return Out{Pools: p.engine.GetUtilization(in.Pools...)}, nil
	},
	"PutAffinity": func(p *Player, in *In) (Out, error) {
		state, err := affinity.ParseState(in.State)
		if err != nil {
			return Out{}, err
		}
		return withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
			return Out{Err: codeOf(p.engine.PutAffinity(in.owner(), cidr, state))}
		})(p, in)
	},
	"DropAffinity": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		p.engine.DropAffinity(in.owner(), cidr)
		return Out{}
	}),
	"DropBlock": withCIDR(func(p *Player, cidr netip.Prefix, in *In) Out {
		p.engine.DropBlock(cidr)
		return Out{}
	}),
	"AddPod":    overseen(addPod),
	"DeletePod": overseen(deletePod),
	"Sync":      overseen(syncNow),
	"Show": func(p *Player, in *In) (Out, error) {
		return shownOut(show(p.engine, in.State, in.IP))
	},
	"State": func(p *Player, in *In) (Out, error) {
		switch in.State {
		case "", "numbered", "whole":
			return Out{State: StateOf(p.engine.State(), in.State)}, nil
		}
		return Out{}, fmt.Errorf("state %q is neither empty, numbered nor whole", in.State)
	},
}

// shownOut is the outcome of a Show. An address with nothing to show is an
// outcome; any other failure is an error.
func shownOut(shown string, err error) (Out, error) {
	if errors.Is(err, codes.IPInCooldown) || errors.Is(err, codes.InvalidArgument) {
		return code(err)
	}
	return Out{Shown: shown}, err
}

// show prints what the operation of that name shows: "pools", "blocks",
// "borrowed", or "ip" with an address. The error matches [codes.IPInCooldown] for
// a cooling address, for which nothing is shown, and [codes.InvalidArgument] for
// one that cannot be allocated.
func show(e Engine, what, ip string) (string, error) {
	calicoctl := report.Calicoctl(e.Calico())
	switch what {
	case "pools":
		return calicoctl.Pools(e.GetUtilization()), nil
	case "blocks":
		return calicoctl.Blocks(e.GetUtilization()), nil
	case "borrowed":
		return calicoctl.Borrowed(e.State()), nil
	case "ip":
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return "", err
		}
		return calicoctl.IP(e, addr)
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

// A Divergence is an operation whose outcome differs from the recorded one.
type Divergence struct {
	File string
	Op   Op     // the operation with the outcome that was wanted
	Got  Out    // what happened instead
	want string // both as they were compared
	got  string
}

// String returns place, operation, wanted and actual outcome, in four lines.
func (d *Divergence) String() string {
	return fmt.Sprintf("%s:%d: operation %d, %s\n  in:   %s\n  want: %s\n  got:  %s",
		d.File, d.Op.Line, d.Op.I, d.Op.Op, compact(d.Op.In), d.want, d.got)
}

// Result is what a replay found.
type Result struct {
	Operations  int
	Divergences []Divergence
}

// Replay does the whole recording on an engine and compares every outcome with the
// recorded one. The function makes the engine of an empty cluster with those
// options; nil stands for an allocator. Replay continues after a divergence,
// though one may cause the next. Its error is about the recording: see
// [SyntaxError].
func Replay(r *Reader, engine func(ipam.Options) Engine) (Result, error) {
	if engine == nil {
		engine = func(o ipam.Options) Engine { return ipam.New(o) }
	}
	h := r.Header()
	clock := ipam.NewClock(h.Start)
	o, err := h.Options(clock)
	if err != nil {
		return Result{}, &SyntaxError{r.Name(), r.headerAt, err}
	}
	p := PlayOn(engine(o), clock)
	if err := p.Set(h); err != nil {
		return Result{}, &SyntaxError{r.Name(), r.headerAt, err}
	}
	return p.Replay(r)
}

// Replay is the function of that name for the player's engine, which must be in
// the state in which the recording begins.
func (p *Player) Replay(r *Reader) (Result, error) {
	var result Result
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
		if w, g := op.Out.String(), got.String(); w != g {
			result.Divergences = append(result.Divergences, Divergence{r.Name(), op, got, w, g})
		}
	}
}
