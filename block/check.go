package block

import (
	"errors"
	"fmt"
	"math/bits"
)

// Check returns every broken invariant of the block at once, joined, or nil. An
// error is a bug of this package. Check is for tests, and reads the whole block.
func (b *Block) Check() error {
	c := &checker{b: b}
	c.queue()
	c.ordinals()
	c.records()
	c.index()
	if err := errors.Join(c.errs...); err != nil {
		return fmt.Errorf("block %s: %w", b.CIDR(), err)
	}
	return nil
}

type checker struct {
	b    *Block
	errs []error
	refs []uint16 // ordinals found to point at each slot
}

func (c *checker) broken(ok bool, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

// queue checks that the queue has every free ordinal once.
func (c *checker) queue() {
	b := c.b
	queued := make([]bool, b.size)
	for i := range int(b.free) {
		ord := b.at(i)
		if !b.has(int(ord)) || queued[ord] {
			c.broken(false, "queue: %d is missing or met before", ord)
			continue
		}
		queued[ord] = true
		c.broken(b.isFree(ord), "queue: %d is not free", ord)
	}
	free := 0
	for i := range b.words() {
		free += bits.OnesCount64(b.freeWord(i))
		c.broken(b.freeWord(i)&b.usedWord(i) == 0 && b.word>>b.size == 0, "bitmap: ordinals beyond the end")
	}
	c.broken(free == int(b.free), "bitmap: %d free, %d in the queue", free, b.free)
}

// ordinals checks what every ordinal points at, and the counts over them.
func (c *checker) ordinals() {
	b := c.b
	c.refs = make([]uint16, len(b.records))
	var cold uint16
	c.broken(len(b.cells) <= int(b.size) && bits.OnesCount(uint(len(b.cells))) == 1, "%d cells for %d ordinals", len(b.cells), b.size)
	for ord := range int(b.size) {
		cell := b.cell(ord)
		i := cell.record
		c.broken((i == 0) == (b.freeWord(ord/64)>>(ord%64)&1 != 0), "bitmap: wrong about ordinal %d", ord)
		if i == 0 {
			c.broken(cell.seq < b.seq || cell.seq == 0, "ordinal %d: free with sequence number %d of a block at %d", ord, cell.seq, b.seq)
			continue
		}
		if int(i) >= len(b.records) {
			c.broken(false, "ordinal %d: no record %d", ord, i)
			continue
		}
		c.refs[i]++
		if b.records[i].cooling() {
			cold++
		}
	}
	c.broken(cold == b.cold, "%d ordinals cooling, %d counted", cold, b.cold)
}

// records checks every slot by itself, and the list of spare slots.
func (c *checker) records() {
	b := c.b
	oldest := int64(never)
	births := make(map[uint32]bool)
	unused, releases := 0, 0
	var host uint16
	for i := 1; i < len(b.records); i++ {
		r := &b.records[i]
		c.broken(r.refs == c.refs[i], "record %d: %d ordinals, %d counted", i, c.refs[i], r.refs)
		if r.refs == 0 {
			unused++
			c.broken(r.handle == "" && r.active == Attrs{} && b.alternates[uint16(i)] == Attrs{} && !r.cooling(), "record %d: unused with content", i)
			continue
		}
		c.broken(!births[r.birth] && r.birth < b.born, "record %d: number %d of %d, given before: %t", i, r.birth, b.born, births[r.birth])
		births[r.birth] = true
		if r.isHost() {
			host++
		}
		if r.cooling() {
			c.broken(r.handle == "" && r.active == Attrs{} && b.alternates[uint16(i)] == Attrs{}, "record %d: cooling with an owner", i)
			at, known := b.releases[uint16(i)]
			c.broken(known, "record %d: cooling without a time of release", i)
			oldest = min(oldest, at)
			releases++
		} else {
			c.broken(r.sum == sumOf(MakeHandle(r.handle), r.active), "record %d: wrong sum", i)
		}
	}
	c.broken(host == b.host, "%d host-reserved records, %d counted", host, b.host)
	c.broken(releases == len(b.releases), "%d cooling records, %d times of release", releases, len(b.releases))
	c.broken(oldest == b.oldest, "oldest release %d, remembered %d", oldest, b.oldest)
	spare := 0
	for i := b.spare; i != 0 && spare <= unused; i = b.records[i].next {
		if int(i) >= len(b.records) || b.records[i].refs != 0 {
			c.broken(false, "spare record %d: in use or missing", i)
			return
		}
		spare++
	}
	c.broken(spare == unused, "%d spare records, %d unused", spare, unused)
}

// index checks that every record that is in use and not cooling is in the chain of
// its bucket, once.
func (c *checker) index() {
	b := c.b
	found := make([]int, len(b.records))
	for n := range b.cells {
		i, prev := b.cells[n].bucket, uint16(0)
		for i != 0 {
			if int(i) >= len(b.records) || found[i] > 0 {
				c.broken(false, "bucket %d: record %d is missing or met before", n, i)
				break
			}
			found[i]++
			r := &b.records[i]
			c.broken(r.prev == prev, "bucket %d: record %d follows %d, not %d", n, i, prev, r.prev)
			c.broken(int(r.sum)&(len(b.cells)-1) == n, "bucket %d: record %d belongs elsewhere", n, i)
			prev, i = i, r.next
		}
	}
	for i := range b.records {
		r := &b.records[i]
		c.broken((found[i] == 1) == (r.refs > 0 && !r.cooling()), "record %d: in %d buckets", i, found[i])
	}
}
