package pool

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
)

// Check is the oracle of every test of Set, so this shows that it finds each kind
// of damage.
func TestSetCheckCatchesBroken(t *testing.T) {
	make := func(name, cidr string) *Pool {
		p, err := New(Spec{Name: name, CIDR: netip.MustParsePrefix(cidr)})
		must.NoError(t, err)
		return p
	}
	a, b, over := make("a", "10.0.0.0/16"), make("b", "10.1.0.0/16"), make("c", "10.1.2.0/24")
	for want, s := range map[string]Set{
		`"b" stands before "a"`:                 {byName: []*Pool{b, a}, byCIDR: []*Pool{a, b}},
		`"a" stands before "a"`:                 {byName: []*Pool{a, a}, byCIDR: []*Pool{a}},
		`2 pools by name, 1 by CIDR`:            {byName: []*Pool{a, b}, byCIDR: []*Pool{a}},
		`"b" is missing by CIDR`:                {byName: []*Pool{a, b}, byCIDR: []*Pool{a}},
		`10.1.0.0/16 stands before 10.0.0.0/16`: {byName: []*Pool{a, b}, byCIDR: []*Pool{b, a}},
		`"b" and "c" overlap`:                   {byName: []*Pool{b, over}, byCIDR: []*Pool{b, over}},
	} {
		test.ErrorContains(t, s.Check(), want)
	}
	test.NoError(t, (&Set{byName: []*Pool{a, b}, byCIDR: []*Pool{a, b}}).Check())
}

// Random numbers of one, two and three words.
func TestRandomIndexStaysBelow(t *testing.T) {
	for n := 1; n <= 128; n++ {
		for seed := range int64(20) {
			x := randomIndex(seed, n)
			test.EqOp(t, x, x.Low(n), test.Sprintf("2^%d", n))
		}
	}
}
