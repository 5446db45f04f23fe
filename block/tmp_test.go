package block
import ("testing";"time")
func BenchmarkTmp(bb *testing.B){
	now := time.Unix(1_700_000_000, 0)
	cold := ColdAt(now, 0)
	same := podHandles(100)[99]
	for _, c := range []struct{n string; o Owner}{{"shared",Owner{podHandles(1)[0],podAttrs(0)}},{"new", Owner{same,podAttrs(0)}},{"none", Owner{}}} {
		bb.Run(c.n, func(bb *testing.B){
			b := halfFull("10.0.0.0/26")
			b.TakeOrdinal(1, Owner{})
			dst := make([]int,0,1)
			for bb.Loop() {
				dst = b.Take(dst[:0], 1, c.o, nil)
				b.Commit()
				b.Release(dst, now, cold)
				b.Commit()
			}
		})
	}
	bb.Run("pullpush", func(bb *testing.B){
			b := halfFull("10.0.0.0/26")
			for bb.Loop() {
				ord := b.head
				b.pull(ord, 1)
				b.push(ord)
			}
	})
	bb.Run("commit", func(bb *testing.B){
			b := halfFull("10.0.0.0/26")
			for bb.Loop() {
				b.Commit()
				b.Commit()
			}
	})
	bb.Run("sum", func(bb *testing.B){
			x := uint32(0)
			for bb.Loop() {
				x += sumOf(same, Attrs{})
			}
	})
	bb.Run("hash", func(bb *testing.B){
			b := halfFull("10.0.0.0/26")
			o:=Owner{same,podAttrs(0)}
			for bb.Loop() {
				i := b.hold(1, o)
				r := &b.records[i]
				r.refs--
				b.dropRecord(i, r)
			}
	})
}
