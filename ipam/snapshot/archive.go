package snapshot

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// This file reads folders and tar archives, such as a must-gather. Nothing is
// unpacked to disk.

// bounds are how much of a folder or archive is read.
type bounds struct {
	files int   // entries, of any kind
	bytes int64 // of text, unpacked
}

// usualBounds are far beyond what a cluster of 100,000 pods has.
var usualBounds = bounds{files: 200_000, bytes: 8 << 30}

// errTooMuch is that a folder or archive goes beyond its bounds.
type errTooMuch struct{ what string }

func (e *errTooMuch) Error() string {
	return "holds more than " + e.what + ", and is not read on; give the files that have resources with -f"
}

// resourceFile reports whether a file of a folder may hold resources. Others, such as
// the logs of a must-gather, are passed over unread.
func resourceFile(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name))
}

// archiveFile reports whether a file of a folder may be an archive.
func archiveFile(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// addFolder reads the files of a folder and of those in it, in the order of names.
func (l *Loader) addFolder(root string) error {
	left := l.bounds
	said := len(l.passed)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		left.files--
		if left.files < 0 {
			return &errTooMuch{fmt.Sprintf("%d files", l.bounds.files)}
		}
		if !entry.Type().IsRegular() || !resourceFile(name) && !archiveFile(name) {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if left.bytes -= info.Size(); left.bytes < 0 {
			return &errTooMuch{fmt.Sprintf("%d bytes", l.bounds.bytes)}
		}
		return l.among(func() error { return l.AddFile(name) })
	})
	var much *errTooMuch
	if errors.As(err, &much) {
		err = fmt.Errorf("%s: %w", root, err)
	}
	if err == nil {
		l.endOfMany(root, said)
	}
	return err
}

// isTar reports whether a text is a tar archive.
func isTar(r *bufio.Reader) bool {
	head, _ := r.Peek(512)
	return len(head) == 512 && bytes.HasPrefix(head[257:], []byte("ustar"))
}

// tar reads the files of an archive that may hold resources.
func (l *Loader) tar(r io.Reader) error {
	archive := len(l.files) - 1
	left, said := l.bounds, len(l.passed)
	packed := left.bytes
	t := tar.NewReader(&boundedReader{r, &packed})
	for {
		entry, err := t.Next()
		switch {
		case packed < 0:
			return &errTooMuch{fmt.Sprintf("%d bytes", l.bounds.bytes)}
		case errors.Is(err, io.EOF):
			l.endOfMany(l.files[archive], said)
			return nil
		case err != nil:
			return err
		}
		if left.files--; left.files < 0 {
			return &errTooMuch{fmt.Sprintf("%d files", l.bounds.files)}
		}
		if entry.Typeflag != tar.TypeReg || !resourceFile(entry.Name) {
			continue
		}
		err = l.among(func() error {
			text, err := l.begin(l.files[archive]+"/"+entry.Name, t)
			if err == nil {
				text = bufio.NewReaderSize(&boundedReader{text, &left.bytes}, 64<<10)
				err = l.text(text)
			}
			if left.bytes < 0 {
				return &errTooMuch{fmt.Sprintf("%d bytes", l.bounds.bytes)}
			}
			return l.fault(0, err)
		})
		if err != nil {
			return err
		}
	}
}

// boundedReader fails behind so many bytes, which several readers may share.
type boundedReader struct {
	r    io.Reader
	left *int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if *b.left < 0 {
		return 0, &errTooMuch{"is allowed"}
	}
	n, err := b.r.Read(p)
	*b.left -= int64(n)
	return n, err
}

// among reads one file of many. If it holds no resources, this is no fault: it is
// passed over. What a file held that is cut off nobody knows.
func (l *Loader) among(read func() error) error {
	problems, objects, listed := len(l.problems), l.known, l.listed
	if err := read(); err != nil {
		return err
	}
	of := l.problems[problems:]
	if l.known > objects || !anyHarmful(of) || slices.ContainsFunc(of, func(p *Problem) bool { return p.cutOff }) {
		return nil
	}
	l.passed = append(l.passed, *of[0])
	l.problems, l.listed = l.problems[:problems], listed
	return nil
}

// maxPassed is how many files that were passed over are named one by one.
const maxPassed = 3

// endOfMany reports the files of a folder or archive that were passed over since then,
// and that there is none with resources.
func (l *Loader) endOfMany(name string, since int) {
	passed := l.passed[since:]
	for i := range passed {
		if i == maxPassed {
			at := l.here(0)
			l.problems = append(l.problems, &Problem{File: name, Kind: kindUnreadable, Harmless: true, order: at.order,
				Reason: fmt.Sprintf("%d more files hold no resources, and are passed over", len(passed)-i)})
			break
		}
		p := passed[i]
		p.Harmless, p.Reason, p.Object, p.Field = true, "holds no resources, and is passed over: "+p.Reason, "", ""
		l.problems = append(l.problems, &p)
	}
	l.passed = l.passed[:since]
	if l.known == 0 {
		at := l.here(0)
		l.problems = append(l.problems, &Problem{File: name, Kind: kindUnreadable, order: at.order,
			Reason: "holds no file with resources: looked for .yaml, .yml and .json, plain or gzip, and in folders for .tar and .tar.gz; needed is what this prints: " + Command})
	}
}
