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
	"Error from server|[Ee]rror: |[Ww]arning: |WARNING: |No resources found|Unable to |The connection to the server |Defaulted container |" +
	"Flag --|command terminated |-?(?:ba|z|k)?sh: " +
	`|[IWEF]\d{4} \d\d:\d\d:\d\d` + // of Kubernetes' own log
	"|```|~~~" +
	`|[^"'{}\[\]]{0,80}[$%>] (?:sudo )?(?:kubectl|oc|calicoctl|etcdctl|cat) ` +
	`|\[[^"'{}\[\]]{1,80}\][$#%>] (?:sudo )?(?:kubectl|oc|calicoctl|etcdctl|cat) ` +
	`|[\w.-]+@[^"'{}\[\]]{1,80}# (?:kubectl|oc|calicoctl|etcdctl|cat) ` +
	`|\[?[\w.-]+@[\w.-]+[: ][^"'{}\[\]]{0,80}\]?[$#]\s*$` + // a prompt alone
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

var byteOrderMark = []byte("\ufeff")

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
	if len(text) == 0 {
		return text, err
	}
	m.within = !bytes.HasSuffix(text, newline)
	if begins {
		m.line++
		text = bytes.TrimPrefix(text, byteOrderMark) // of a file that was joined to another
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
		reason := "is a message and no resource, and is skipped: " + quoteMessage(found.text)
		if i == maxMessages-1 && m.more > 0 {
			reason += fmt.Sprintf(" (and %d more)", m.more)
		}
		at := l.here(found.line)
		l.problems = append(l.problems, &Problem{File: l.files[at.file], Line: found.line, Reason: reason, Kind: kindUnreadable, Harmless: true, order: at.order})
	}
}

// tables are texts that have no resources, by how they begin, and what they are.
var tables = []struct {
	begins *regexp.Regexp
	what   string
}{
	{regexp.MustCompile(`^(?:NAME|NAMESPACE|CIDR|NODE|LAST SEEN)(?:\s{2,}|\t)`), "a table; add -o yaml to kubectl get"},
	{regexp.MustCompile(`^(?:Name|Namespace): {2,}\S`), "what kubectl describe prints"},
	{regexp.MustCompile(`^\+-{2,}|^\| GROUPING `), "a table of calicoctl"},
	{regexp.MustCompile(`^IP [0-9a-fA-F.:]+ is (?:in use|not assigned)`), "what calicoctl ipam show --ip prints"},
	{regexp.MustCompile(`^PK\x03\x04`), "a zip archive; unpack it, and give its folder with -f"},
	{regexp.MustCompile(`^<(?:!DOCTYPE|html)`), "a page of a browser"},
	{regexp.MustCompile(`^Checking IPAM for inconsistencies`), "what calicoctl ipam check prints"},
}

// isTable says what a text is that has no resources, and what to print instead.
func isTable(line []byte) (string, bool) {
	for _, t := range tables {
		if t.begins.Match(line) {
			return "is " + t.what + "; what is needed is printed by " + Command, true
		}
	}
	return "", false
}

// Command prints in a shell what this package reads of a cluster. It asks for one
// kind at a time: kubectl prints nothing at all where it is asked for several and the
// cluster does not have one of them, as older releases of Calico do not. Its
// complaints about those can be ignored.
const Command = "for kind in " + commandKinds + "; do kubectl get $kind -A -o json; done > cluster.json"

// commandKinds are the kinds that [Command] asks for, as kubectl calls them.
const commandKinds = "ippools ipreservations ipamblocks blockaffinities ipamhandles ipamconfigs ipamconfigurations " +
	"clusterinformations kubecontrollersconfigurations nodes namespaces services pods"

// quoteMessage shows a message in one line, longer than other values: its end says
// what the cluster does not have.
func quoteMessage(text string) string {
	const most = 240
	if len(text) > most {
		return fmt.Sprintf("%q… (%d bytes)", text[:most], len(text))
	}
	return fmt.Sprintf("%q", text)
}

// noObjects says why a file may have no objects.
func noObjects(m *messageFilter) error {
	if len(m.found) > 0 {
		return fmt.Errorf("holds no objects, only %s; %s", quoteMessage(m.found[0].text), oneAtATime)
	}
	return errors.New("holds no objects; " + oneAtATime)
}

// oneAtATime says why kubectl may have printed nothing, and what to do.
const oneAtATime = "kubectl prints nothing where the cluster does not have one of the kinds that it was asked for; ask for one at a time: " + Command
