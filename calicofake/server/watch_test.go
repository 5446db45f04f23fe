package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	libapiv3 "github.com/projectcalico/calico/libcalico-go/lib/apis/v3"
	"github.com/shoenig/test/must"
	"github.com/shoenig/test/wait"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ipamsim/ipamsim/calicofake/fake"
	"github.com/ipamsim/ipamsim/calicofake/server"
)

// nextEvent returns the next event of a watch.
func nextEvent(w watch.Interface) (watch.Event, error) {
	select {
	case e, ok := <-w.ResultChan():
		if !ok {
			return e, errors.New("the watch has ended")
		}
		return e, nil
	case <-time.After(10 * time.Second):
		return watch.Event{}, errors.New("no event")
	}
}

// follows watches handles from a list on while the allocator works. It builds up what
// there is from the events alone, and returns what is wrong with them.
func follows(t *testing.T, f *fake.Fake, config *rest.Config) error {
	c := clientOf(t, config)
	var list libapiv3.IPAMHandleList
	if err := c.List(ctx, &list); err != nil {
		return err
	}
	w, err := c.Watch(ctx, &libapiv3.IPAMHandleList{}, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	if err != nil {
		return err
	}
	defer w.Stop()
	const n = 20
	done := make(chan error, 1)
	go func() { done <- work(f, n) }()
	counts := make(map[string]int) // addresses of handles that there are
	last, _ := strconv.Atoi(list.ResourceVersion)
	for _, there := counts["end"]; !there; _, there = counts["end"] {
		e, err := nextEvent(w)
		if err != nil {
			return err
		}
		h := e.Object.(*libapiv3.IPAMHandle)
		at, _ := strconv.Atoi(h.ResourceVersion)
		if at <= last {
			return fmt.Errorf("%s of %s has revision %d, after one of %d", e.Type, h.Name, at, last)
		}
		last = at
		_, there := counts[h.Name]
		if there != (e.Type != watch.Added) {
			return fmt.Errorf("%s of %s, which is there: %v", e.Type, h.Name, there)
		}
		delete(counts, h.Name)
		if e.Type != watch.Deleted {
			counts[h.Name] = 0
			for _, k := range h.Spec.Block {
				counts[h.Name] += k
			}
		}
	}
	if err := <-done; err != nil {
		return err
	}
	for i := range n {
		if k, there := counts[fmt.Sprint("h-", i)]; there != (i%3 != 0) || there && k != 2 {
			return fmt.Errorf("h-%d has %d addresses: %v", i, k, there)
		}
	}
	return nil
}

// work gives n handles two addresses each, takes every third one's away, and ends
// with a handle called end.
func work(f *fake.Fake, n int) error {
	for i := range n {
		handle := fmt.Sprint("h-", i)
		for range 2 {
			if _, err := assign(f, handle, 1); err != nil {
				return err
			}
		}
		if i%3 == 0 {
			if err := f.IPAM().ReleaseByHandle(ctx, handle); err != nil {
				return err
			}
		}
	}
	_, err := assign(f, "end", 1)
	return err
}

// TestWatch: added, modified and deleted, in the order of revisions, each once.
func TestWatch(t *testing.T) {
	f, s := started(t, fake.Options{Pools: fake.Pools(*pool("blue", "10.0.0.0/24"))})
	must.NoError(t, follows(t, f, s.Config()))
}

// TestWatchIsCaught: watches that lose, repeat or swap events.
func TestWatchIsCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("broken variants")
	}
	for name, of := range map[string]func(event int, line string, before []string) (now, later []string){
		"loses deletions": func(_ int, line string, _ []string) (now, later []string) {
			if !strings.Contains(line, `"DELETED"`) {
				now = []string{line}
			}
			return now, nil
		},
		"repeats": func(event int, line string, _ []string) (now, later []string) {
			if now = []string{line}; event == 5 {
				now = append(now, line)
			}
			return now, nil
		},
		"swaps": func(event int, line string, before []string) (now, later []string) {
			if event == 5 {
				return nil, []string{line}
			}
			return append([]string{line}, before...), nil
		},
		"says added of all": func(_ int, line string, _ []string) (now, later []string) {
			return []string{strings.Replace(line, `"MODIFIED"`, `"ADDED"`, 1)}, nil
		},
	} {
		f := fake.New(fake.Options{Pools: fake.Pools(*pool("blue", "10.0.0.0/24"))})
		must.NoError(t, f.SetNode("node-1", nil))
		s, err := server.Start(withEvents(server.Handler(f), of))
		must.NoError(t, err)
		must.Error(t, follows(t, f, s.Config()), must.Sprint(name))
		s.Close()
	}
}

// TestWatchSelects: an object that begins to match is added, one that ceases to is
// deleted; a list of now comes first, and a timeout ends the watch.
func TestWatchSelects(t *testing.T) {
	f, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	w, err := c.Watch(ctx, nodes(), client.MatchingLabels{"zone": "a"})
	must.NoError(t, err)
	defer w.Stop()
	named, err := c.Watch(ctx, nodes(), client.MatchingFields{"metadata.name": "node-2"})
	must.NoError(t, err)
	defer named.Stop()
	for _, zone := range []string{"b", "a", "a", "b"} {
		must.NoError(t, f.SetNode("node-1", map[string]string{"zone": zone}))
	}
	must.NoError(t, f.SetNode("node-2", map[string]string{"zone": "a"}))
	for _, want := range []string{"ADDED node-1", "MODIFIED node-1", "DELETED node-1", "ADDED node-2"} {
		e, err := nextEvent(w)
		must.NoError(t, err)
		must.Eq(t, want, fmt.Sprint(e.Type, " ", e.Object.(client.Object).GetName()))
	}
	e, err := nextEvent(named)
	must.NoError(t, err)
	must.Eq(t, "node-2", e.Object.(client.Object).GetName())

	body := get(t, s, "/api/v1/nodes?watch=1&resourceVersion=0&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	must.Len(t, 3, lines, must.Sprint(body))
	must.StrContains(t, lines[1], `{"type":"ADDED","object":{"kind":"Node"`)
	must.StrContains(t, lines[2], `"annotations":{"k8s.io/initial-events-end":"true"}`)
}

// TestTooOld: a watch that begins before what the fake remembers is told to list
// again, by an event as an API server does: client-go's RetryWatcher ends with that,
// and tries again for ever after an answer that is an error.
func TestTooOld(t *testing.T) {
	f, s := started(t, fake.Options{})
	for i := range 10_001 {
		must.NoError(t, f.SetNode("node-1", map[string]string{"i": strconv.Itoa(i)}))
	}
	for _, accept := range []string{"application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"} {
		status, body := do(t, s, http.MethodGet, "/api/v1/nodes?watch=1&resourceVersion=1", "", "Accept", accept)
		must.Eq(t, http.StatusOK, status, must.Sprint(body))
		must.Eq(t, 1, strings.Count(body, "\n"), must.Sprintf("one event, and the watch ends: %s", body))
		var e struct {
			Type   string
			Object metav1.Status
		}
		must.NoError(t, json.Unmarshal([]byte(body), &e))
		must.Eq(t, "ERROR", e.Type)
		must.Eq(t, metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, e.Object.TypeMeta)
		must.Eq(t, metav1.StatusFailure, e.Object.Status)
		must.Eq(t, http.StatusGone, e.Object.Code)
		must.Eq(t, metav1.StatusReasonExpired, e.Object.Reason)
		must.StrContains(t, e.Object.Message, "too old resource version: 1")
	}
	c := clientOf(t, s.Config())
	from := func(o metav1.ListOptions) (watch.Interface, error) {
		return c.Watch(ctx, nodes(), &client.ListOptions{Raw: &o})
	}
	w, err := from(metav1.ListOptions{ResourceVersion: "1"})
	must.NoError(t, err)
	defer w.Stop()
	retried, err := watchtools.NewRetryWatcher("1", &toolscache.ListWatch{WatchFunc: from})
	must.NoError(t, err)
	defer retried.Stop()
	for _, w := range []watch.Interface{w, retried} {
		e, err := nextEvent(w)
		must.NoError(t, err)
		must.Eq(t, watch.Error, e.Type)
		err = kerrors.FromObject(e.Object)
		must.True(t, kerrors.IsResourceExpired(err), must.Sprintf("%v", err))
		_, err = nextEvent(w)
		must.EqError(t, err, "the watch has ended")
	}
	status, body := do(t, s, http.MethodGet, "/api/v1/nodes?watch=1&resourceVersion=99999", "")
	must.Eq(t, http.StatusGatewayTimeout, status)
	must.StrContains(t, body, "Too large resource version: 99999, current: 10002")
}

// TestClose: watches end, and nothing is left running.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	f := fake.New(fake.Options{})
	s, err := server.New(f)
	must.NoError(t, err)
	c := &http.Client{Transport: &http.Transport{}}
	var watches []io.ReadCloser
	for range 3 {
		r, err := c.Get(s.URL() + "/api/v1/nodes?watch=1")
		must.NoError(t, err)
		defer r.Body.Close()
		watches = append(watches, r.Body)
	}
	ctx, cancel := context.WithCancel(ctx) // and one whose client goes first
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/api/v1/nodes?watch=1", nil)
	must.NoError(t, err)
	gone, err := c.Do(r)
	must.NoError(t, err)
	must.NoError(t, f.SetNode("node-1", nil))
	line, err := bufio.NewReader(watches[0]).ReadString('\n')
	must.NoError(t, err)
	must.StrContains(t, line, "node-1")
	cancel()
	_ = gone.Body.Close()
	s.Close()
	s.Close()
	for _, w := range watches {
		_, err := bufio.NewReader(w).ReadString(0)
		must.Error(t, err)
		_ = w.Close()
	}
	if late, err := c.Get(s.URL() + "/version"); err == nil {
		_ = late.Body.Close()
		t.Fatal("a server that is closed answers")
	}
	c.CloseIdleConnections()
	must.Wait(t, wait.InitialSuccess(wait.BoolFunc(func() bool { return runtime.NumGoroutine() <= before }),
		wait.Timeout(10*time.Second), wait.Gap(time.Millisecond)), must.Sprint("goroutines are left"))
	must.NoError(t, f.SetNode("node-2", nil), must.Sprint("the fake goes on"))
}
