package race

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// A race of two hosts for the only block of a pool: host m comes too late.
const small = `{"version":1,"name":"small","setting":{"version":1,"name":"small","start":"2026-01-01T00:00:00Z","pools":[{"name":"p","cidr":"10.0.0.0/30","blockSize":30}],"nodes":[{"name":"n"},{"name":"m"}]},
"clients":[{"host":"n","steps":[{"op":"ClaimAffinity","in":{"host":"n","cidr":"10.0.0.0/30"},"out":{"claimed":["10.0.0.0/30"]}}]},
{"host":"m","steps":[{"op":"ClaimAffinity","in":{"host":"m","cidr":"10.0.0.0/30"},"out":{"failed":["10.0.0.0/30"]}},{"op":"IPsByHandle","in":{"handle":"h"}}],"diesAfter":5}],
"schedule":[0,1,0,0,0,1,1,1,1],
"calls":[{"c":0,"op":0,"call":"get","key":"config","result":"missing"},
{"c":1,"op":0,"call":"get","key":"config","result":"missing"},
{"c":0,"op":0,"call":"create","key":"affinity/host:n/10.0.0.0/30","result":"ok"},
{"c":0,"op":0,"call":"create","key":"block/10.0.0.0/30","result":"ok"},
{"c":0,"op":0,"call":"update","key":"affinity/host:n/10.0.0.0/30","result":"ok"},
{"c":1,"op":0,"call":"create","key":"affinity/host:m/10.0.0.0/30","result":"ok"},
{"c":1,"op":0,"call":"create","key":"block/10.0.0.0/30","result":"exists"},
{"c":1,"op":0,"call":"get","key":"block/10.0.0.0/30","result":"ok"},
{"c":1,"op":0,"call":"delete","key":"affinity/host:m/10.0.0.0/30","result":"ok"}],
"after":[{"op":"AutoAssign","in":{"host":"m","num4":1,"use":"Workload"},"out":{"ips4":["10.0.0.0/30"]}}],
"state":{"blocks":[{"cidr":"10.0.0.0/30","affinity":"host:n","free":"1-3","allocs":[{"ordinal":0}]}],"affinities":[{"type":"host","host":"n","cidr":"10.0.0.0/30","state":"confirmed"}]}}
`

// changed returns the small race on one line, with every old replaced by its new.
func changed(oldnew ...string) string {
	return strings.NewReplacer(oldnew...).Replace(strings.ReplaceAll(small, "\n", "")) + "\n"
}

// read reads one race.
func read(text string) (*Race, error) {
	r, err := NewReader("t.jsonl", strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	return r.Next()
}

func TestReader(t *testing.T) {
	r, err := NewReader("t.jsonl", strings.NewReader(changed()+"\n"+changed("small", "other")))
	must.NoError(t, err)
	first, err := r.Next()
	must.NoError(t, err)
	must.Eq(t, "small", first.Name)
	must.Eq(t, []int{0, 1, 0, 0, 0, 1, 1, 1, 1}, first.Schedule)
	must.Eq(t, Call{Client: 1, Verb: protocol.Create, Key: "block/10.0.0.0/30", Result: protocol.Exists}, first.Calls[6])
	must.Eq(t, 5, *first.Clients[1].DiesAfter)
	must.Nil(t, first.Clients[0].DiesAfter)
	must.Nil(t, first.Clients[1].Steps[1].Out)
	second, err := r.Next()
	must.NoError(t, err)
	must.Eq(t, "other", second.Name)
	must.EqError(t, r.Fail(errors.New("wrong")), "t.jsonl:3: wrong", must.Sprint("blank lines count"))
	_, err = r.Next()
	must.ErrorIs(t, err, io.EOF)
	must.NoError(t, r.Close())
}

func TestMalformed(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"version":         {changed(`{"version":1,"name":"small","setting"`, `{"version":2,"name":"small","setting"`), "t.jsonl:1: version 2, want 1"},
		"setting":         {changed(`"setting":{"version":1`, `"setting":{"version":0`), "setting has version 0"},
		"unknown field":   {changed(`"diesAfter"`, `"diesAt"`), `unknown field "diesAt"`},
		"cut off":         {changed()[:200], "line ends in the middle"},
		"short schedule":  {changed(`"schedule":[0,1,`, `"schedule":[0,`), "8 entries for 9 calls"},
		"no such client":  {changed(`"schedule":[0,1,`, `"schedule":[0,2,`), "entry 1 names client 2 of 2"},
		"negative client": {changed(`"schedule":[0,1,`, `"schedule":[0,-1,`), "entry 1 names client -1"},
		"other client":    {changed(`"schedule":[0,1,0,`, `"schedule":[0,1,1,`), "entry 2 names client 1, the call is of client 0"},
		"negative death":  {changed(`"diesAfter":5`, `"diesAfter":-5`), "client 1 dies after -5 calls"},
		"no outcome":      {changed(`,"out":{"ips4":["10.0.0.0/30"]}`, ``), "operation 0 (AutoAssign), done alone, has no outcome"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.text)
			must.ErrorIs(t, err, trace.ErrMalformed)
			must.ErrorContains(t, err, c.want)
		})
	}
	_, err := Open("missing.jsonl.gz")
	must.ErrorContains(t, err, "missing.jsonl.gz")
	_, err = NewReader("t.gz", strings.NewReader("\x1f\x8bnot gzip"))
	must.ErrorIs(t, err, trace.ErrMalformed)
}

func TestDifferences(t *testing.T) {
	race, err := read(changed())
	must.NoError(t, err)
	d, err := Replay(race)
	must.NoError(t, err)
	must.Nil(t, d, must.Sprintf("%v", d))

	for name, c := range map[string]struct {
		oldnew           []string
		where, want, got string
	}{
		"result": {
			[]string{`"result":"exists"`, `"result":"ok"`},
			"call 6", "client 1, operation 0: create block/10.0.0.0/30, ok", "client 1, operation 0: create block/10.0.0.0/30, exists",
		},
		"call": {
			[]string{`"call":"delete"`, `"call":"update"`},
			"call 8", "client 1, operation 0: update affinity/host:m/10.0.0.0/30, ok", "client 1, operation 0: delete affinity/host:m/10.0.0.0/30, ok",
		},
		"a call too many in the recording": {
			[]string{`"schedule":[0,1,0,0,0,1,1,1,1]`, `"schedule":[0,1,0,0,0,1,1,1,1,0]`,
				`"key":"affinity/host:m/10.0.0.0/30","result":"ok"}],"after"`, `"key":"affinity/host:m/10.0.0.0/30","result":"ok"},{"c":0,"op":1,"call":"get","key":"config","result":"ok"}],"after"`},
			"call 9", "client 0, operation 1: get config, ok", "nothing",
		},
		"a call too few in the recording": {
			[]string{`"diesAfter":5`, `"diesAfter":6`},
			"client 1 after its 5 calls", "nothing", "operation 1: get handle/h",
		},
		"death": {
			[]string{`"diesAfter":5`, `"diesAfter":4`},
			"client 1, which dies", "4 calls", "5 calls",
		},
		"outcome": {
			[]string{`"out":{"failed":["10.0.0.0/30"]}`, `"out":{"err":"does-not-exist"}`},
			"operation 0 of client 1, ClaimAffinity", `{"err":"does-not-exist"}`, `{"failed":["10.0.0.0/30"]}`,
		},
		"outcome of the dead": {
			[]string{`"in":{"handle":"h"}`, `"in":{"handle":"h"},"out":{}`},
			"operation 1 of client 1, IPsByHandle", `{}`, "nothing",
		},
		"after": {
			[]string{`"out":{"ips4":["10.0.0.0/30"]}`, `"out":{"ips4":["10.0.0.1/30"]}`},
			"after 0, AutoAssign", `{"ips4":["10.0.0.1/30"]}`, `{"ips4":["10.0.0.0/30"]}`,
		},
		"before": {
			[]string{`"clients"`, `"before":[{"op":"Advance","in":{},"out":{"err":"x"}}],"clients"`},
			"before 0, Advance", `{"err":"x"}`, `{}`,
		},
		"state": {
			[]string{`"state":{`, `"state":{"handles":{"h":{"10.0.0.0/30":1}},`},
			"state, handle/h", `{"10.0.0.0/30":1}`, "nothing",
		},
		"state of a block": {
			[]string{`"free":"1-3"`, `"free":"3,1-2"`},
			"state, block/10.0.0.0/30",
			`{"cidr":"10.0.0.0/30","affinity":"host:n","free":"3,1-2","allocs":[{"ordinal":0}]}`,
			`{"cidr":"10.0.0.0/30","affinity":"host:n","free":"1-3","allocs":[{"ordinal":0}]}`,
		},
		"state of an affinity": {
			[]string{`"state":"confirmed"`, `"state":"pending"`},
			"state, affinity/host:n/10.0.0.0/30",
			`{"type":"host","host":"n","cidr":"10.0.0.0/30","state":"pending"}`,
			`{"type":"host","host":"n","cidr":"10.0.0.0/30","state":"confirmed"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			race, err := read(changed(c.oldnew...))
			must.NoError(t, err)
			d, err := Replay(race)
			must.NoError(t, err)
			must.NotNil(t, d)
			must.Eq(t, "small", d.Race)
			must.Eq(t, c.where, d.Where)
			must.Eq(t, c.want, d.Want)
			must.Eq(t, c.got, d.Got)
			must.Eq(t, "small: "+c.where+"\n  want: "+c.want+"\n  got:  "+c.got, d.String())
		})
	}
}

// What cannot be replayed is an error of the recording, not a difference.
func TestReplayErrors(t *testing.T) {
	for name, c := range map[string]struct {
		oldnew []string
		want   string
	}{
		"setting": {[]string{`"blockSize":30}]`, `"blockSize":33}]`}, "setting: "},
		"started": {[]string{`"op":"ClaimAffinity","in":{"host":"m"`, `"op":"Steal","in":{"host":"m"`}, `operation 0 of client 1: trace: unknown operation "Steal"`},
		"client":  {[]string{`"op":"IPsByHandle"`, `"op":"Steal"`}, `operation 1 of client 1: trace: unknown operation "Steal"`},
		"after":   {[]string{`"op":"AutoAssign"`, `"op":"Steal"`}, `after 0: trace: unknown operation "Steal"`},
	} {
		t.Run(name, func(t *testing.T) {
			race, err := read(changed(c.oldnew...))
			must.NoError(t, err)
			_, err = Replay(race)
			must.ErrorContains(t, err, c.want)
		})
	}
	_, err := Replay(&Race{})
	must.ErrorContains(t, err, "version 0")
}
