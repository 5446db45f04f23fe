package snapshot

import (
	"bytes"
	"runtime"
)

// This file reads long lists with all processors. Whoever reads the text cuts it into
// batches of objects, others take these apart, and the first adds them to the cluster, one
// after the other in their order: what comes of a list does not depend on who read it.
//
// Where an object begins is a guess, by how the ones before began: to know it takes reading
// all that comes before. A batch counts only if the one before ended where it begins.

// usualBatch is the size of a batch in bytes. A list that is shorter is read alone.
const usualBatch = 1 << 20

// A seam is what a list has between two objects.
type seam struct {
	between       []byte // from the brace that ends one to the brace that begins the next
	first, second string // the keys with which objects begin: inner ones have others
}

// seamOf returns the seam before an object; its between is nil if it has none.
func seamOf(before, object []byte) seam {
	first, second, ok := beginning(object)
	if !ok {
		return seam{}
	}
	return seam{append(append([]byte{'}'}, before...), '{'), string(first), string(second)}
}

// beginning returns the first two keys of an object.
func beginning(object []byte) (first, second []byte, ok bool) {
	q := quickJSON{rest: object}
	if !q.next('{') {
		return nil, nil, false
	}
	if first, ok = q.text(); !ok || !q.next(':') || !q.skip(0) || !q.next(',') {
		return nil, nil, false
	}
	second, ok = q.text()
	return first, second, ok
}

// last returns where the last object ends that has another behind it in the text; 0 if it
// finds none.
func (s *seam) last(text []byte) int {
	for end := len(text); ; {
		i := bytes.LastIndex(text[:end], s.between)
		if i < 0 {
			return 0
		}
		end = i + len(s.between) - 1
		first, second, ok := beginning(text[end:])
		if ok && string(first) == s.first && string(second) == s.second {
			return i + 1
		}
	}
}

// A batch is objects of a list, each with the comma before it.
type batch struct {
	text, room []byte
	objects    []batchObject
	done       chan struct{}
}

// batchObject is an object within a batch. One that could not be read quickly has neither a
// handle nor an envelope.
type batchObject struct {
	quickObject
	from int
}

// readBatch takes the objects of a batch apart, up to the first that is not sound.
func (r *quickReader) readBatch(b *batch, kind string) {
	q := quickJSON{rest: b.text}
	for q.next(',') && q.goesOn() && q.rest[0] == '{' {
		o := batchObject{from: len(b.text) - len(q.rest)}
		if !r.read(&o.quickObject, q.rest) {
			whole := quickJSON{rest: q.rest, any: true}
			if !whole.skip(0) {
				return
			}
			o.quickObject = quickObject{n: len(q.rest) - len(whole.rest)}
		} else if o.envelope != nil {
			r.readAhead(o.envelope, kind)
		}
		b.objects = append(b.objects, o)
		q.rest = q.rest[o.n:]
	}
}

// together reads objects of a list, in batches, for as long as the seam finds where these
// begin.
func (j *jsonReader) together(s *seam, kind, group string) {
	n := runtime.GOMAXPROCS(0)
	for len(j.l.others) < n {
		j.l.others = append(j.l.others, newQuickReader())
	}
	readers := make(chan *quickReader, n)
	for _, r := range j.l.others[:n] {
		readers <- r
	}
	var going, spare []*batch
	for most := 1; ; most = min(most+1, n+1) { // the list may end soon
		for len(going) < most {
			b := j.text.batch(j.l.batch, s, &spare)
			if b == nil {
				break
			}
			going = append(going, b)
			go func() {
				r := <-readers
				r.readBatch(b, kind)
				readers <- r
				close(b.done)
			}()
		}
		if len(going) == 0 {
			return
		}
		b := going[0]
		<-b.done
		if read := j.takeBatch(b, kind, group); read < len(b.text) {
			b.text = b.text[read:]
			for _, b := range going {
				<-b.done
			}
			j.text.putBack(going)
			return
		}
		going, spare = going[1:], append(spare, b)
	}
}

// takeBatch takes the objects of a batch, and returns how much of the text these are.
func (j *jsonReader) takeBatch(b *batch, kind, group string) (read int) {
	w := j.text
	for i := range b.objects {
		o := &b.objects[i]
		text := b.text[o.from : o.from+o.n]
		line := w.line + bytes.Count(b.text[read:o.from], newline)
		switch {
		case o.envelope != nil || o.handle.ID != "":
			j.l.takeQuick(j.l.here(line), &o.quickObject, text, kind, group)
		case !j.odd(line, text, kind, group):
			return read
		}
		w.line = line + bytes.Count(text, newline)
		read = o.from + o.n
	}
	return read
}

// batch cuts a batch off the text, or returns nil. It uses what is left of spare ones.
func (w *window) batch(size int, s *seam, spare *[]*batch) *batch {
	for len(w.text) < size && w.more() == nil {
	}
	end := s.last(w.text[:min(len(w.text), size)])
	if end == 0 {
		return nil
	}
	b := new(batch)
	if last := len(*spare) - 1; last >= 0 {
		b, *spare = (*spare)[last], (*spare)[:last]
	}
	room := b.room
	*b = batch{text: w.text[:end], room: w.room, objects: b.objects[:0], done: make(chan struct{})}
	rest := w.text[end:]
	if len(room) < len(rest)+size {
		room = make([]byte, len(rest)+2*size)
	}
	w.room, w.text = room, room[:copy(room, rest)]
	return b
}

// putBack puts back what of batches was not taken.
func (w *window) putBack(going []*batch) {
	var text []byte
	for _, b := range going {
		text = append(text, b.text...)
	}
	w.text = append(text, w.text...)
	w.room = w.text[:cap(w.text)]
}
