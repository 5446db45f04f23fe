package trace

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// FuzzReader: no text makes the reader or the player panic or corrupts the
// allocator's structure. Errors are documented ones, and a recording that was read
// can be written and read again.
func FuzzReader(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(someHeader))
	f.Add([]byte(someHeader + "\r\n\n" + someOp + "\n" + otherOp))
	f.Add([]byte(compressed(f, someHeader+"\n"+someOp)))
	f.Add([]byte(compressed(f, someHeader+"\n"+someOp)[:60]))
	for _, c := range malformed {
		f.Add([]byte(c.text))
	}
	// A few small lines of every kind of operation that was recorded.
	for _, name := range []string{"crash-0", "owners-0", "windows-dual-0", "load-balancer-0", "reservations-0", "namespaces-0", "single-address-0", "configuration-0", "cooldown-0"} {
		h, ops := load(f, name)
		taken := make(map[string]int)
		var few []Op
		for _, op := range ops {
			line := compact(op)
			if kind := op.Op + op.Out.Err; len(line) < 600 && taken[kind] < 2 {
				taken[kind]++
				few = append(few, op)
			}
		}
		text, err := write(h, few)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, ops, err := readAll("fuzz", bytes.NewReader(text))
		if err != nil {
			var syntax *SyntaxError
			if !errors.Is(err, ErrMalformed) || !errors.As(err, &syntax) || syntax.File != "fuzz" || syntax.Line < 1 {
				t.Fatalf("error %v", err)
			}
		}
		if h.Version != Version {
			return
		}
		again, err := write(h, ops)
		if errors.Is(err, ErrNotRecordable) {
			t.Fatalf("read, but not UTF-8: %v", err)
		}
		if err == nil { // a start before the year 0 cannot be written
			gotHeader, got, err := readAll("again", bytes.NewReader(again))
			if err != nil || len(got) != len(ops) || compact(gotHeader) != compact(h) {
				t.Fatalf("written and read again: %v", err)
			}
			for i := range ops {
				if compact(got[i].In) != compact(ops[i].In) || compact(got[i].Out) != compact(ops[i].Out) {
					t.Fatalf("operation %d: %s, was %s", i, compact(got[i]), compact(ops[i]))
				}
			}
		}
		p, err := NewPlayer(h)
		if err != nil {
			return
		}
		for _, op := range ops[:min(len(ops), 100)] {
			if heavy(op.In) {
				continue
			}
			_, _ = p.Do(op)
		}
		if err := structure(allocator(p)); err != nil {
			t.Fatal(err)
		}
		_ = StateOf(allocator(p).State(), "")
	})
}

// heavy reports whether an operation requests so much that it would only be slow.
func heavy(in In) bool {
	if in.Num4 > 5000 || in.Num6 > 5000 {
		return true
	}
	cidr, err := netip.ParsePrefix(in.CIDR)
	return err == nil && cidr.Addr().BitLen()-cidr.Bits() > 13
}

// TestHeaderStart: a recording may start at any time that a header can hold.
func TestHeaderStart(t *testing.T) {
	for _, start := range []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1677-01-01T00:00:00Z", "2262-04-11T23:47:16.854775807Z", "9999-12-31T23:59:59Z"} {
		p, ops, err := readAll("", bytes.NewReader([]byte(`{"version":1,"name":"","start":"`+start+`"}`)))
		if err != nil || len(ops) > 0 {
			t.Fatal(err)
		}
		player, err := NewPlayer(p)
		if err != nil {
			t.Fatal(err)
		}
		a := allocator(player)
		if err := a.SetNode(ipam.Node{Name: "n"}); err != nil {
			t.Fatal(err)
		}
		pools := In{Pool: &Pool{Name: "p", CIDR: "10.0.0.0/24", BlockSize: 32}}
		if out, err := player.Do(Op{Op: "SetPool", In: pools}); err != nil || out.Err != "" {
			t.Fatal(out, err)
		}
		if _, _, err := a.AutoAssign(pod("n", "h", 3)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.ClaimAffinity(netip.MustParsePrefix("10.0.0.0/24"), affinity.HostOwner("n")); err != nil {
			t.Fatal(err)
		}
		if err := a.Check(); err != nil {
			t.Fatalf("%s: %v", start, err)
		}
	}
}
