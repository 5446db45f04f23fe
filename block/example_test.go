package block_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/block"
)

// Three pods come and the first goes: its address is the last to be used again.
func ExampleBlock() {
	b, err := block.New(netip.MustParsePrefix("10.0.0.0/29"), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, handle := range []string{"pod-a", "pod-b", "pod-c"} {
		for _, ord := range b.Take(nil, 1, &block.Owner{Handle: block.MakeHandle(handle)}, nil) {
			fmt.Println(handle, b.Addr(ord))
		}
		b.Commit()
	}

	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.Release(b.AppendHandle(nil, block.MakeHandle("pod-a")), now, block.ColdAt(now, 0))
	b.Commit()
	for ord := range b.Queue() {
		fmt.Print(ord, " ")
	}
	fmt.Println("free:", b.Free())
	// Output:
	// pod-a 10.0.0.0
	// pod-b 10.0.0.1
	// pod-c 10.0.0.2
	// 3 4 5 6 7 0 free: 6
}

// With a cooldown, nobody holds a released address, but it is not free either.
func ExampleBlock_Release() {
	b, err := block.New(netip.MustParsePrefix("10.0.0.0/30"), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const cooldown = 30 * time.Second
	b.Take(nil, 2, &block.Owner{Handle: block.MakeHandle("pod-a")}, nil)
	b.Release([]int{0}, now, block.ColdAt(now, cooldown))
	fmt.Println("at once:", b.Available(block.ColdAt(now, cooldown), nil))
	now = now.Add(cooldown)
	fmt.Println("later:", b.Available(block.ColdAt(now, cooldown), nil))
	// Output:
	// at once: 2
	// later: 3
}

func ExampleAttrs() {
	a := block.MakeAttrs(map[string]string{"pod": "web-0", "node": "node-1"})
	b := block.MakeAttrs(map[string]string{"node": "node-1", "pod": "web-0"})
	fmt.Println(a == b, a)
	// Output: true {"node":"node-1","pod":"web-0"}
}
