package snapshot

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// A quickJSON reads JSON, many times quicker than encoding/json. It takes only what can be
// read in one way: whatever is written otherwise ends it, and then every method returns
// false and encoding/json has the say.
type quickJSON struct {
	rest  []byte
	any   bool // skip takes what is not ASCII, too
	short bool // the text broke off somewhere
}

// next takes a byte behind blanks, if it comes next.
func (q *quickJSON) next(b byte) bool {
	i := 0
	for i < len(q.rest) && isBlank(q.rest[i]) {
		i++
	}
	q.rest = q.rest[i:]
	if len(q.rest) == 0 {
		q.short = true
		return false
	}
	if q.rest[0] != b {
		return false
	}
	q.rest = q.rest[1:]
	return true
}

// goesOn reports whether more than blanks comes.
func (q *quickJSON) goesOn() bool {
	q.next(0)
	return len(q.rest) > 0
}

func isBlank(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

// text reads a text of ASCII without escapes.
func (q *quickJSON) text() ([]byte, bool) {
	if !q.next('"') {
		return nil, false
	}
	n := plainLen(q.rest)
	if q.short = n == len(q.rest); q.short || q.rest[n] != '"' {
		return nil, false
	}
	text := q.rest[:n]
	q.rest = q.rest[n+1:]
	return text, true
}

// plainLen returns how many bytes come before the first that is a quote, a backslash, a
// control character or not ASCII. It looks at eight at once.
func plainLen(text []byte) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(text); n += 8 {
		w := binary.LittleEndian.Uint64(text[n:])
		quotes, backslashes := w^each*'"', w^each*'\\'
		// The lowest bit that is set is that of the first such byte: a borrow goes upwards.
		if found := (w | (w - each*' ') | (quotes-each)&^quotes | (backslashes-each)&^backslashes) & high; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(text) && text[n] >= ' ' && text[n] < 0x80 && text[n] != '"' && text[n] != '\\' {
		n++
	}
	return n
}

// word reads a number or another word, as far as it has letters and digits.
func (q *quickJSON) word() []byte {
	q.next(0) // skips blanks
	n := 0
	for n < len(q.rest) && isAlnum(q.rest[n]) {
		n++
	}
	word := q.rest[:n]
	q.rest = q.rest[n:]
	q.short = q.short || len(q.rest) == 0
	return word
}

// object reads an object. It leaves it to entry to refuse keys that come twice.
func (q *quickJSON) object(entry func(key []byte) bool) bool {
	if !q.next('{') {
		return false
	}
	if q.next('}') {
		return true
	}
	for {
		key, ok := q.text()
		if !ok || !q.next(':') || !entry(key) {
			return false
		}
		if q.next('}') {
			return true
		}
		if !q.next(',') {
			return false
		}
	}
}

// list reads a list.
func (q *quickJSON) list(item func() bool) bool {
	if !q.next('[') {
		return false
	}
	if q.next(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if q.next(']') {
			return true
		}
		if !q.next(',') {
			return false
		}
	}
}

// raw reads any value.
func (q *quickJSON) raw() ([]byte, bool) {
	q.next(0)
	before := q.rest
	if !q.skip(0) {
		return nil, false
	}
	return before[:len(before)-len(q.rest)], true
}

// skip skips any value of ASCII, as deep as quickDepth. It takes none that is not JSON.
func (q *quickJSON) skip(depth int) bool {
	q.next(0)
	if len(q.rest) == 0 || depth > quickDepth {
		return false // next has noted which
	}
	switch b := q.rest[0]; b {
	case '"':
		q.rest = q.rest[1:]
		return q.skipText()
	case '{', '[':
		q.rest = q.rest[1:]
		end := b + 2 // of ASCII
		if q.next(end) {
			return true
		}
		for {
			if b == '{' && !(q.next('"') && q.skipText() && q.next(':')) || !q.skip(depth+1) {
				return false
			}
			if q.next(end) {
				return true
			}
			if !q.next(',') {
				return false
			}
		}
	case 't', 'f', 'n':
		word := string(q.word())
		return word == "true" || word == "false" || word == "null"
	}
	return q.skipNumber()
}

// skipText skips a text behind its first quote, with escapes.
func (q *quickJSON) skipText() bool {
	for {
		q.rest = q.rest[plainLen(q.rest):]
		if len(q.rest) < len(`\u1234`) && (len(q.rest) == 0 || q.rest[0] == '\\') { // behind a text is more
			q.short = true
			return false
		}
		switch b := q.rest[0]; {
		case b == '"':
			q.rest = q.rest[1:]
			return true
		case b >= 0x80 && q.any:
			q.rest = q.rest[1:]
		case b != '\\':
			return false
		case q.rest[1] == 'u':
			for _, digit := range q.rest[2:6] {
				if strings.IndexByte("0123456789abcdefABCDEF", digit) < 0 {
					return false
				}
			}
			q.rest = q.rest[6:]
		case strings.IndexByte(`"\/bfnrt`, q.rest[1]) >= 0:
			q.rest = q.rest[2:]
		default:
			return false
		}
	}
}

// skipNumber skips a number.
func (q *quickJSON) skipNumber() bool {
	q.one("-")
	ok := q.one("0") || q.digits()
	if q.one(".") {
		ok = ok && q.digits()
	}
	if q.one("eE") {
		q.one("+-")
		ok = ok && q.digits()
	}
	q.short = len(q.rest) == 0 // it may go on
	return ok && !q.short
}

// digits skips digits, and reports whether there is one.
func (q *quickJSON) digits() bool {
	n := 0
	for n < len(q.rest) && '0' <= q.rest[n] && q.rest[n] <= '9' {
		n++
	}
	q.rest = q.rest[n:]
	return n > 0
}

// one skips one of these bytes, if it comes next.
func (q *quickJSON) one(of string) bool {
	if len(q.rest) == 0 || strings.IndexByte(of, q.rest[0]) < 0 {
		return false
	}
	q.rest = q.rest[1:]
	return true
}

// keysOnce are the keys of an object that were read, each of which comes once.
type keysOnce uint

// first reports whether a key comes for the first time.
func (k *keysOnce) first(key uint) bool {
	had := *k&(1<<key) != 0
	*k |= 1 << key
	return !had
}
