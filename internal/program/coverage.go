package program

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Coverage counts the outcomes of each operation in programs. The zero value has
// counted nothing. It is not safe for concurrent use.
type Coverage struct {
	total    int
	outcomes map[string]int
}

// Total returns the number of operations counted.
func (c *Coverage) Total() int { return c.total }

// Add counts an operation with its outcome: its code ("AssignIP max-alloc"), and
// what messages and lists of it say ("AutoAssign: exhausted").
func (c *Coverage) Add(op *trace.Op, out *trace.Out) {
	if c.outcomes == nil {
		c.outcomes = make(map[string]int)
	}
	c.total++
	code := out.Err
	if strings.ContainsRune(code, ' ') {
		code = "refused" // by a package below ipam, which has no codes
	}
	c.outcomes[strings.TrimSpace(op.Op+" "+code)]++
	said := make(map[string]bool)
	for _, msg := range slices.Concat(out.Msgs4, out.Msgs6) {
		kind, _, _ := strings.Cut(msg, ":")
		said[kind] = true
	}
	said["addresses"] = len(out.IPs4)+len(out.IPs6) > 0
	said["both families"] = len(out.IPs4) > 0 && len(out.IPs6) > 0
	said["claimed"] = len(out.Claimed) > 0
	said["failed"] = len(out.Failed) > 0
	said["unallocated"] = len(out.Unallocated) > 0
	said["released"] = len(out.Released) > len(out.Unallocated)
	for what, is := range said {
		if is {
			c.outcomes[op.Op+": "+what]++
		}
	}
}

// wanted are, by operation, the codes and messages that some program must reach,
// beside success.
var wanted = map[string][]string{
	"AutoAssign": {
		" use-required", " does-not-exist", " wrong-family", " bad-host-reservation", " pool-not-enabled", " no-pools-for-node", " no-qualified-pool",
		" block-limit", " no-block", " block-too-small", " strict-affinity-required", " invalid-argument",
		": addresses", ": both families", ": exhausted", ": strict-affinity", ": block-limit",
	},
	"AssignIP": {
		" already-exists", " affinity-mismatch", " use-not-allowed", " not-in-pool", " max-alloc", " max-retries", " bad-host-reservation",
		" strict-affinity-required", " invalid-argument",
	},
	"EnsureBlock": {
		" does-not-exist", " wrong-family", " bad-host-reservation", " pool-not-enabled", " no-pools-for-node", " no-qualified-pool", " no-block", " no-free-blocks",
		" strict-affinity-required",
	},
	"ReleaseIPs":              {" bad-handle", " bad-sequence-number", " strict-affinity-required", " invalid-argument", ": released", ": unallocated"},
	"ReleaseByHandle":         {" does-not-exist"},
	"IPsByHandle":             {" does-not-exist"},
	"GetAssignmentAttributes": {" does-not-exist", " ip-in-cooldown", " invalid-argument"},
	"SetOwnerAttributes":      {" does-not-exist", " not-in-pool", " wrong-handle", " update-conflict", " invalid-argument"},
	"ClaimAffinity":           {" not-in-pool", " invalid-size", " invalid-argument", ": claimed", ": failed"},
	"ReleaseAffinity":         {" not-in-pool", " invalid-size", " block-not-empty", " invalid-argument"},
	"ReleaseHostAffinities":   {" block-not-empty", " invalid-argument"},
	"ReleasePoolAffinities":   {" invalid-argument"},
	"ReleaseBlockAffinity":    {" block-not-empty", " no-such-block"},
	"RemoveIPAMHost":          {" invalid-argument"},
	"SetIPAMConfig":           {" config-conflict", " invalid-argument"},
	"SetPool":                 {" refused"},
	"SetNode":                 {" invalid-argument"},
	"PutAffinity":             {" invalid-argument"},
}

// Missing returns the outcomes that programs must reach and did not: for every
// operation success, and every error that one client alone can meet.
func (c *Coverage) Missing() (missing []string) {
	want := func(outcome string) {
		if c.outcomes[outcome] == 0 {
			missing = append(missing, outcome)
		}
	}
	for _, o := range operations {
		want(o.name)
		for _, more := range wanted[o.name] {
			want(o.name + more)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// String lists the outcomes with their counts, a line each.
func (c *Coverage) String() string {
	var text strings.Builder
	for _, outcome := range slices.Sorted(maps.Keys(c.outcomes)) {
		fmt.Fprintf(&text, "%9d %s\n", c.outcomes[outcome], outcome)
	}
	return text.String()
}
