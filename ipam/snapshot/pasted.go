package snapshot

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// This file handles text as people paste it: messages of kubectl among the
// resources, shell prompts, code fences, and tables instead of resources.

// message matches lines that are no part of any resource. They begin in the first
// column, where a resource has only its own few keys.
var message = regexp.MustCompile("^(?:" +
	"Error from server|[Ee]rror: |[Ww]arning: |No resources found|Unable to connect to the server|The connection to the server " +
	`|[IWEF]\d{4} \d\d:\d\d:\d\d` + // of Kubernetes' own log
	"|```|~~~" +
	`|[^"'{}\[\]]{0,80}[$%>] (?:sudo )?(?:kubectl|oc|calicoctl) ` +
	`|\[[^"'{}\[\]]{1,80}\][$#%>] (?:sudo )?(?:kubectl|oc|calicoctl) ` +
	`|[\w.-]+@[^"'{}\[\]]{1,80}# (?:kubectl|oc|calicoctl) ` +
	")")

// isMessage reports whether a line is a message. Most lines begin with a blank or
// a dash.
func isMessage(line []byte) bool {
	return len(line) > 0 && line[0] != ' ' && line[0] != '-' && message.Match(line[:min(len(line), 256)])
}

// A messageFilter reads a text without the lines that are messages. It leaves empty
// lines in their place.
type messageFilter struct {
	r      *bufio.Reader
	line   int    // of what was read last
	within bool   // that line goes on
	rest   []byte // what of it was not handed out

	found []foundMessage // the first few
	more  int            // how many others
}

type foundMessage struct {
	line int
	text string
}

// maxMessages is how many messages of a file are reported one by one.
const maxMessages = 3

// Read fills p with as many lines as are there.
func (m *messageFilter) Read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if len(m.rest) == 0 {
			if n > 0 && m.r.Buffered() == 0 {
				return n, nil
			}
			if m.rest, err = m.next(); errors.Is(err, bufio.ErrBufferFull) {
				err = nil
			}
		}
		copied := copy(p[n:], m.rest)
		n, m.rest = n+copied, m.rest[copied:]
	}
	if len(m.rest) > 0 {
		err = nil // it comes again
	}
	return n, err
}

// next reads a line, or as much of it as the buffer has.
func (m *messageFilter) next() ([]byte, error) {
	text, err := m.r.ReadSlice('\n')
	begins := !m.within
	m.within = !bytes.HasSuffix(text, newline)
	if begins {
		m.line++
		if isMessage(text) {
			m.keep(string(bytes.TrimRight(text, "\r\n")))
			return text[len(bytes.TrimRight(text, "\n")):], err
		}
	}
	return text, err
}

func (m *messageFilter) keep(text string) {
	if len(m.found) < maxMessages {
		m.found = append(m.found, foundMessage{m.line, text})
		return
	}
	m.more++
}

// reportMessages reports the messages of a file, which have no effect.
func (l *Loader) reportMessages(m *messageFilter) {
	for i, found := range m.found {
		reason := "is a message and no resource, and is skipped: " + quote(found.text)
		if i == maxMessages-1 && m.more > 0 {
			reason += fmt.Sprintf(" (and %d more)", m.more)
		}
		at := l.here(found.line)
		l.problems = append(l.problems, &Problem{File: l.files[at.file], Line: found.line, Reason: reason, Kind: Unreadable, Harmless: true, order: at.order})
	}
}

// tables are texts that have no resources, by how they begin, and what they are.
var tables = []struct {
	begins *regexp.Regexp
	what   string
}{
	{regexp.MustCompile(`^(?:NAME|NAMESPACE|CIDR)\s{2,}\S`), "a table; add -o yaml to kubectl get"},
	{regexp.MustCompile(`^(?:Name|Namespace): {2,}\S`), "what kubectl describe prints"},
	{regexp.MustCompile(`^\+-{2,}`), "a table of calicoctl"},
	{regexp.MustCompile(`^Checking IPAM for inconsistencies`), "what calicoctl ipam check prints"},
}

// isTable says what a text is that has no resources, and what to print instead.
func isTable(line []byte) (string, bool) {
	for _, t := range tables {
		if t.begins.Match(line) {
			return "is " + t.what + "; what is needed is printed by kubectl get " +
				"ippools,ipamblocks,blockaffinities,ipamhandles,ipamconfigs,nodes,clusterinformations -o yaml", true
		}
	}
	return "", false
}

// noObjects says why a file may have no objects.
func noObjects(m *messageFilter) error {
	if len(m.found) > 0 {
		return fmt.Errorf("holds no objects, only %s; leave out what the cluster does not have", quote(m.found[0].text))
	}
	return errors.New("holds no objects; kubectl get prints none if the cluster does not have one of the kinds: leave that one out")
}
