package block

import (
	"fmt"
	"math/rand"
	"net/netip"
	"testing"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// names are kinds of owners as clusters have them, by number.
var names = map[string]func(i int) Owner{
	"numbered":         func(i int) Owner { return Owner{Handle: MakeHandle(fmt.Sprintf("pod-%d", i))} },
	"numbered, padded": func(i int) Owner { return Owner{Handle: MakeHandle(fmt.Sprintf("k8s-pod-network.web-%08d", i))} },
	"by node": func(i int) Owner {
		return Owner{Handle: MakeHandle(fmt.Sprintf("k8s-pod-network.node-%d-%d", i%5000, i/5000))}
	},
	"tunnels": func(i int) Owner {
		return Owner{Handle: MakeHandle(fmt.Sprintf("vxlan-tunnel-addr-ip-10-%d-%d-%d.ec2.internal", i>>16, i>>8&255, i&255))}
	},
	"hexadecimal": func(i int) Owner { return Owner{Handle: MakeHandle(fmt.Sprintf("%x", i))} },
	"containers": func(i int) Owner {
		return Owner{Handle: MakeHandle(fmt.Sprintf("k8s-pod-network.%064x", uint64(i)*0x9e3779b97f4a7c15))}
	},
	"of a deployment": func(i int) Owner { return Owner{Handle: MakeHandle("default.web-5d78c9869d-" + suffix(i))} },
	"of many": func(i int) Owner {
		return Owner{Handle: MakeHandle(fmt.Sprintf("team-%d.app-%d-7f9c4d%04x-%s", i%7, i%31, i%31, suffix(i)))}
	},
	"attributes: nodes": func(i int) Owner {
		return Owner{Active: MakeAttrs(map[string]string{"node": fmt.Sprintf("node-%d", i)})}
	},
	"attributes: pods": func(i int) Owner { return Owner{Active: podAttrs(i)} },
}

// suffix returns five letters such as Kubernetes puts at the end of a pod's name.
func suffix(i int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	r := rand.New(rand.NewSource(int64(i)))
	text := make([]byte, 5)
	for k := range text {
		text[k] = letters[r.Intn(len(letters))]
	}
	return string(text)
}

// reads returns how many records the searches for that many owners read, if their
// sums spread them over full blocks of this size.
func reads(sums []uint32, size int) (n int) {
	for from := 0; from+size <= len(sums); from += size {
		chains := make([]int, size)
		for _, sum := range sums[from : from+size] {
			chain := &chains[sum&uint32(size-1)]
			*chain++
			n += *chain // the last to come is found first, the first last
		}
	}
	return n
}

// TestSumsSpread: in blocks of every size, searches read at most a fifth more
// records than with random sums. A sum of the middle bits of a product fails: it
// hardly depends on the last characters.
func TestSumsSpread(t *testing.T) {
	property.Slow(t) // sums some million names
	const owners = 1 << 14
	random := make([]uint32, owners)
	r := rand.New(rand.NewSource(1))
	for i := range random {
		random[i] = r.Uint32()
	}
	sums := func(of func(i int) Owner, sum func(Owner) uint32) []uint32 {
		all := make([]uint32, owners)
		for i := range all {
			all[i] = sum(of(i))
		}
		return all
	}
	caught := 0
	for kind, of := range names {
		good := sums(of, func(o Owner) uint32 { return sumOf(o.Handle, o.Active) })
		bad := sums(of, func(o Owner) uint32 { return middleOfProduct(o.Handle.String() + o.Active.text) })
		for size := 1; size <= MaxSize; size *= 2 {
			most := reads(random, size) * 6 / 5
			test.LessEq(t, most, reads(good, size), test.Sprintf("%s in blocks of %d", kind, size))
			if reads(bad, size) > most {
				caught++
			}
		}
	}
	test.Greater(t, 10, caught, test.Sprint("cases in which the middle of a product is found bad"))
}

// middleOfProduct is a broken sum: it takes bits from the middle of a 64-bit
// product.
func middleOfProduct(s string) uint32 {
	if len(s) < 8 {
		s += "12345678"
	}
	n := len(s)
	mid, last := word(s[n/2-4:]), word(s[n-8:])
	return uint32((last + uint64(n) + mid*0xe7037ed1a0b428db) * 0xa0761d6478bd642f >> 32)
}

// TestFullBlockChains: the records of a full block are in the buckets of their
// sums.
func TestFullBlockChains(t *testing.T) {
	b, err := New(netip.MustParsePrefix("10.0.0.0/20"), 1)
	must.NoError(t, err)
	for i := range MaxSize {
		to := names["by node"](i)
		b.Take(nil, 1, &to, nil)
	}
	looked := 0
	for i := range b.cells {
		length := 0
		for r := b.cells[i].bucket; r != 0; r = b.records[r].next {
			length++
			looked += length
		}
	}
	test.Less(t, 2*MaxSize, looked, test.Sprint("records that a search for each looks at"))
	must.NoError(t, b.Check())
}
