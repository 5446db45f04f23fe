package whatif

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A step is one change, ready to be made.
type step struct {
	text string // as it was given
	do   func(*world, *change) error
	node string // that must be there before; "" for none
	adds string // what added nodes are called, with %d for their number; "" for none
}

// parse reads the flags; steps keep their order.
func parse(args []string) (*options, error) {
	o := new(options)
	flags := flag.NewFlagSet("whatif", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("f", "", func(file string) error { o.files = append(o.files, file); return nil })
	flags.BoolVar(&o.check, "check", false, "")
	flags.BoolVar(&o.lenient, "lenient", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.out, "o", "", "")
	add := func(name, value string, do func(*world, *change) error) {
		o.steps = append(o.steps, step{text: strings.TrimSpace("-" + name + " " + value), do: do})
	}
	// Steps with a value, read and checked before anything is done.
	with := func(name string, read func(value string) (func(*world, *change) error, error)) {
		flags.Func(name, "", func(value string) error {
			do, err := read(value)
			if err == nil {
				add(name, value, do)
				last := &o.steps[len(o.steps)-1]
				switch name {
				case "drain", "remove-node":
					last.node = value
				case "add-nodes":
					last.adds = strings.Split(value, ":")[1]
				}
			}
			return err
		})
	}
	flags.BoolFunc("strict", "", func(value string) error {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("must be true or false")
		}
		name := "strict"
		if !on {
			name = "strict=false"
		}
		add(name, "", func(w *world, c *change) error { return w.strict(c, on) })
		return nil
	})
	flags.BoolFunc("gc", "", func(value string) error {
		if value != "true" {
			return errors.New("takes no value")
		}
		add("gc", "", (*world).collect)
		return nil
	})
	with("max-blocks-per-host", func(value string) (func(*world, *change) error, error) {
		n, err := number(value, 0, 1<<20)
		return func(w *world, c *change) error { return w.limit(c, n) }, err
	})
	with("cooldown", func(value string) (func(*world, *change) error, error) {
		n, err := number(value, 0, ipam.MaxCooldownSeconds)
		return func(w *world, c *change) error { return w.cooldown(c, n) }, err
	})
	with("scale", func(value string) (func(*world, *change) error, error) {
		n, err := number(value, 0, 10_000)
		return func(w *world, c *change) error { return w.scale(c, n) }, err
	})
	with("drain", func(value string) (func(*world, *change) error, error) {
		return func(w *world, c *change) error { return w.drain(c, value) }, nil
	})
	with("remove-node", func(value string) (func(*world, *change) error, error) {
		return func(w *world, c *change) error { return w.removeNode(c, value) }, nil
	})
	with("disable-pool", func(value string) (func(*world, *change) error, error) {
		return func(w *world, c *change) error { return w.disablePool(c, value) }, nil
	})
	with("add-nodes", readAddNodes)
	with("add-pool", readAddPool)
	with("resize-pool", func(value string) (func(*world, *change) error, error) {
		name, size, found := cutLast(value)
		if !found {
			return nil, errors.New("must be NAME:SIZE, such as default-ipv4-ippool:28")
		}
		n, err := number(strings.TrimPrefix(size, "/"), 20, 128)
		return func(w *world, c *change) error { return w.resizePool(c, name, n) }, err
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q: there are no arguments, only flags; files go with -f", flags.Arg(0))
	case len(o.files) == 0:
		return nil, errors.New("no cluster: give the output of kubectl with -f FILE")
	}
	return o, nil
}

func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("must be a number from %d to %d", low, high)
	}
	return n, nil
}

func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || i == len(text)-1 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// maxNewNodes keeps a slip of the finger from taking all memory.
const maxNewNodes = 100_000

func readAddNodes(value string) (func(*world, *change) error, error) {
	parts := strings.SplitN(value, ":", 3)
	if len(parts) < 2 {
		return nil, errors.New("must be N:NAME[:LABELS], such as 50:node-%d:zone=a")
	}
	n, err := number(parts[0], 1, maxNewNodes)
	if err != nil {
		return nil, err
	}
	format := parts[1]
	if n > 1 && strings.Count(format, "%d") != 1 || strings.Count(format, "%") != strings.Count(format, "%d") || format == "" {
		return nil, fmt.Errorf("%q must hold one %%d, and no other %%", format)
	}
	labels := make(map[string]string)
	if len(parts) == 3 && parts[2] != "" {
		for _, pair := range strings.Split(parts[2], ",") {
			key, value, found := strings.Cut(pair, "=")
			if !found || key == "" {
				return nil, fmt.Errorf("label %q must be KEY=VALUE", pair)
			}
			labels[key] = value
		}
	}
	return func(w *world, c *change) error { return w.addNodes(c, n, format, labels) }, nil
}

func readAddPool(value string) (func(*world, *change) error, error) {
	name, rest, _ := strings.Cut(value, ":")
	spec := pool.Spec{Name: name}
	cidr := rest
	// An IPv6 CIDR has colons of its own; a size stands behind the mask.
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		if mask, size, found := strings.Cut(rest[slash:], ":"); found {
			n, err := number(strings.TrimPrefix(size, "/"), 20, 128)
			if err != nil {
				return nil, fmt.Errorf("block size %q %w", size, err)
			}
			cidr, spec.BlockSize = rest[:slash]+mask, n
		}
	}
	var err error
	if spec.CIDR, err = netip.ParsePrefix(cidr); err != nil {
		return nil, fmt.Errorf("%q is not a CIDR; it must be NAME:CIDR[:SIZE], such as blue:10.1.0.0/16:28", cidr)
	}
	return func(w *world, c *change) error { return w.addPool(c, spec) }, spec.Validate()
}
