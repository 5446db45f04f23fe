package snapshot

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// Options is how resources are read. The zero value refuses whatever is wrong.
type Options struct {
	// Lenient keeps what can be understood: problems become part of the snapshot
	// instead of an error. A block that contradicts itself is mended: its
	// allocations are taken as true. Of two objects that exclude each other, the
	// later is left out.
	Lenient bool
	// SkipOdd does so for single objects only: one that is odd is left out or
	// mended, and becomes a problem of the snapshot. A fault of the text, such as a
	// file that is cut off, is still an error.
	SkipOdd bool
	// Progress, if given, is called after each read with the number of bytes read
	// from all files so far. For gzip these are compressed bytes.
	Progress func(read int64)
}

// A Loader reads resources from any number of files into one snapshot. Make one
// with [NewLoader]; it is not safe for concurrent use.
type Loader struct {
	options Options
	files   []string
	bounds  bounds
	met     int32 // number of places so far, for their order
	read    int64 // bytes

	careful bool           // it leaves all to encoding/json; for tests
	quick   *quickReader   // takes objects apart
	others  []*quickReader // do so at the same time
	batch   int            // bytes of a list that one reads at a time

	cluster      ipam.Cluster // its LastSequence only, until the end
	configs      []named[ipam.Config]
	pools        []named[pool.Spec]
	reservations []named[[]string]
	nodes        []located[ipam.Node]
	blocks       []located[ipam.BlockState]
	affinities   []located[ipam.AffinityState]
	given        [][]givenHandle // in pieces: there may be a million
	handles      []located[ipam.HandleState]
	pods         []located[Pod]
	machines     kubeVirt
	addresses    []located[NodeAddress]
	networks     []located[Network]
	fromOperator []named[pool.Spec] // pools of an Installation
	sightings    []sighting         // of releases
	calicoNodes  []calicoNode
	endpoints    []located[Pod]
	keyless      int // affinities of etcd without their keys
	namespaces   []located[Namespace]
	services     []located[Service]
	ranges       map[string][]Range // by where they stand
	grace        time.Duration
	graceFrom    string // empty where nothing says it

	kindComes bool              // the list being read has not said its kind yet
	kindless  []located[[]byte] // its items without a kind

	problems []*Problem
	passed   []Problem // why files of a folder or archive were passed over
	objects  int
	known    int            // objects that have a kind
	lists    int            // Lists, empty ones included
	listed   KindSet        // of which there is an object or a list
	deleted  int            // objects marked deleted
	skipped  map[string]int // objects of kinds that are not read
	leftOut  map[string]int // objects that are odd
	latest   time.Time
}

// named is an object that goes by its name.
type named[T any] struct {
	name string
	at   place
	T    T
}

// located is an object that goes by what it holds.
type located[T any] struct {
	at place
	T  T
}

// givenHandle is a handle, and when it was made, zero where nothing says it.
type givenHandle struct {
	located[ipam.HandleState]
	made time.Time
}

// NewLoader returns a loader that has read nothing.
func NewLoader(o Options) *Loader {
	return &Loader{options: o, bounds: usualBounds, skipped: make(map[string]int), leftOut: make(map[string]int), ranges: make(map[string][]Range), quick: newQuickReader(), batch: usualBatch}
}

// Load reads files; use [Loader.Add] for other sources. The error is the file
// system's, or an [*InvalidError].
func Load(o Options, paths ...string) (*Snapshot, error) {
	l := NewLoader(o)
	for _, path := range paths {
		if err := l.AddFile(path); err != nil {
			return nil, err
		}
	}
	return l.Snapshot()
}

// AddFile reads a file, plain or gzip, or all resources of a folder or tar archive,
// which is not unpacked to disk. The error is the file system's, or that there is
// more than can be. [Loader.Snapshot] returns what is wrong with the text.
func (l *Loader) AddFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return l.addFolder(path)
	}
	return l.Add(path, f)
}

// Add reads resources from r, plain or gzip, or a tar archive of them. Problems are
// reported under the given name. The error is r's own, or that an archive has more
// than can be. [Loader.Snapshot] returns what is wrong with the text.
func (l *Loader) Add(name string, r io.Reader) error {
	from := &origin{r: r, l: l}
	text, err := l.begin(name, from)
	line := 1
	if err == nil {
		line = 0
		if isTar(text) {
			err = l.tar(text)
		} else {
			err = l.text(text)
		}
	}
	if from.err != nil {
		return fmt.Errorf("%s: %w", name, from.err)
	}
	if much := new(errTooMuch); errors.As(err, &much) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return l.fault(line, err)
}

// begin begins a file, and returns its text.
func (l *Loader) begin(name string, r io.Reader) (*bufio.Reader, error) {
	l.files = append(l.files, name)
	text := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := text.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return text, nil
	}
	z, err := gzip.NewReader(text)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, 256<<10), nil
}

// fault makes a problem of an error of the text that was read last.
func (l *Loader) fault(line int, err error) error {
	var at *syntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &at):
		line, err = at.line, at.err
	}
	cutOff := errors.Is(err, io.ErrUnexpectedEOF)
	if cutOff {
		err = errors.New("the file is cut off")
	}
	l.problemAt(l.here(line), err.Error()).cutOff = cutOff
	return nil
}

// here is a place in the file being read, where an object begins.
func (l *Loader) here(line int) place {
	l.met++
	return place{file: int32(len(l.files) - 1), line: int32(line), order: l.met}
}

// problemAt reports what is wrong with the text of an object, or of the file.
func (l *Loader) problemAt(at place, reason string) *Problem {
	p := &Problem{File: l.files[at.file], Line: int(at.line), Reason: reason, Kind: kindUnreadable, order: at.order}
	l.problems = append(l.problems, p)
	return p
}

// syntaxError is an error of a text with its line.
type syntaxError struct {
	line int
	err  error
}

func (e *syntaxError) Error() string { return e.err.Error() }

// origin counts the bytes that are read. It keeps the error of the reader, so that
// this is not taken for a fault of the text.
type origin struct {
	r   io.Reader
	l   *Loader
	err error // the first, but for the end
}

// Read goes on failing once it has failed.
func (o *origin) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		o.err = err
	}
	o.l.read += int64(n)
	if o.l.options.Progress != nil {
		o.l.options.Progress(o.l.read)
	}
	return n, err
}

// text reads a text, whatever its form.
func (l *Loader) text(from io.Reader) error {
	before := l.objects + l.lists
	messages := &messageFilter{r: bufio.NewReaderSize(transform.NewReader(from, unicode.BOMOverride(transform.Nop)), 64<<10)}
	defer l.reportMessages(messages)
	r := bufio.NewReaderSize(messages, 64<<10)
	skipped, err := skipBlankLines(r)
	if err == nil {
		start, _ := r.Peek(64)
		if what, is := isTable(start); is {
			return &syntaxError{1 + skipped, errors.New(what)}
		}
		if isEtcd(r) {
			err = l.etcd(r, 1+skipped)
		} else if isJSON(r) {
			err = l.json(r, 1+skipped)
		} else {
			err = l.yaml(r, 1+skipped, func() bool { return messages.within })
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && l.objects+l.lists == before {
		err = &syntaxError{1, noObjects(messages)}
	}
	return err
}

// isJSON reports whether a text is JSON, and not YAML that has braces as well: there the
// first key may do without quotes.
func isJSON(r *bufio.Reader) bool {
	start, _ := r.Peek(4096)
	start = bytes.TrimLeft(start, " \t\r\n")
	inner := bytes.TrimLeft(start, " \t\r\n[{")
	opened := start[:len(start)-len(inner)]
	if len(opened) == 0 {
		return false
	}
	isMap := bytes.HasSuffix(bytes.TrimRight(opened, " \t\r\n"), []byte("{"))
	return !isMap || len(inner) == 0 || inner[0] != '\'' && !isAlnum(inner[0])
}

// skipBlankLines skips the lines before the first one that is not blank, and returns how
// many they are. It leaves the blanks at the beginning of that line, which YAML needs. The
// error is io.EOF if there is no such line.
func skipBlankLines(r *bufio.Reader) (lines int, err error) {
	for n := 1; ; n++ {
		ahead, err := r.Peek(n)
		if len(ahead) < n {
			return lines, cmp.Or(err, io.EOF)
		}
		switch ahead[n-1] {
		case '\n':
			lines++
			_, _ = r.Discard(n)
			n = 0
		case ' ', '\t', '\r':
			if n >= 4096 {
				return lines, nil
			}
		default:
			return lines, nil
		}
	}
}

// see keeps the latest time in the resources.
func (l *Loader) see(t time.Time) {
	if t.After(l.latest) {
		l.latest = t
	}
}

// sortedProblems returns the problems in the order of files and lines.
func (l *Loader) sortedProblems() []*Problem {
	rank := make(map[string]int, len(l.files))
	for i, f := range l.files {
		rank[f] = i
	}
	slices.SortStableFunc(l.problems, func(x, y *Problem) int {
		return cmp.Or(cmp.Compare(rank[x.File], rank[y.File]), cmp.Compare(x.Line, y.Line), cmp.Compare(x.order, y.order))
	})
	return l.problems
}
