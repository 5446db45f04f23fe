package session

import (
	"encoding/json"
	"testing"

	"github.com/shoenig/test/must"
)

// TestPlan: a plan says the same as the program plan, and its map has every claimed block.
func TestPlan(t *testing.T) {
	s := New()
	for args, want := range map[string]Plan{ // the figures of ipamsim plan
		`{"nodes":300,"pods":40,"pool":"10.0.0.0/18","blockSize":26}`:            {Requests: 12300, Own: 10022, Borrowed: 2278, Blocks: 256, Without: 44, Routes: 2534},
		`{"nodes":300,"pods":40,"pool":"10.0.0.0/18","blockSize":28}`:            {Requests: 12300, Own: 12300, Blocks: 900, Routes: 900, Fits: true},
		`{"nodes":9,"pods":5,"pool":"10.0.0.0/28","blockSize":30,"strict":true}`: {Requests: 54, Own: 16, Refused: 38, Blocks: 4, Without: 5, Routes: 4},
	} {
		var got Plan
		reply(t, s, "plan", args, &got)
		blocks := 0.0
		for _, r := range got.Runs {
			blocks += r[1]
		}
		must.Eq(t, float64(got.Blocks), blocks, must.Sprint(args))
		must.SliceNotEmpty(t, got.Says)
		got.Says, got.Runs, got.BlockSize, got.Room, got.Addresses, got.Unused = nil, nil, 0, 0, 0, 0
		must.Eq(t, want, got, must.Sprint(args))
	}
	for args, complaint := range map[string]string{
		`{"nodes":0,"pods":40,"pool":"10.0.0.0/18"}`:                "nodes: 0 is out of range: 1 to 5,000",
		`{"nodes":5000,"pods":100,"pool":"10.0.0.0/18"}`:            "pods of all nodes: 500,000 is out of range: 0 to 250,000",
		`{"nodes":3,"pods":4,"pool":"10.0.0.1/18"}`:                 "pool: 10.0.0.1/18 begins in the middle of a range: did you mean 10.0.0.0/18?",
		`{"nodes":3,"pods":4,"pool":"10.0.0.0/18","blockSize":12}`:  "blockSize: 12: ",
		`{"nodes":3,"pods":4,"pool":"10.0.0.0/18","block-size":26}`: "block-size: there is no such argument",
		`{"nodes":3,"pods":4,"pool":"fd00::/48","blockSize":122}`:   "blockSize: fd00::/48 has 2^74 blocks",
	} {
		must.ErrorContains(t, refusal(t, s, "plan", args), complaint)
	}
}

// reply calls a method that must succeed.
func reply(t *testing.T, s *Session, method, args string, into any) {
	t.Helper()
	var answer struct {
		OK      json.RawMessage
		Error   string
		Reasons []string
	}
	must.NoError(t, json.Unmarshal(s.Call(method, []byte(args), nil), &answer))
	must.Eq(t, "", answer.Error, must.Sprintf("%s %s %q", method, args, answer.Reasons))
	if into != nil {
		must.NoError(t, json.Unmarshal(answer.OK, into))
	}
}

// refusal calls a method that must be refused.
func refusal(t *testing.T, s *Session, method, args string) error {
	t.Helper()
	var answer struct {
		OK      any
		Error   string
		Reasons []string
	}
	must.NoError(t, json.Unmarshal(s.Call(method, []byte(args), nil), &answer))
	must.NotEq(t, "", answer.Error, must.Sprintf("%s %s", method, args))
	return &reasons{what: answer.Error}
}
