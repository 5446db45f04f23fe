package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/internal/property"
)

// play runs the program, which must succeed.
func play(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	must.Zero(t, run(args, nil, &out, &errs), must.Sprint(errs.String()))
	must.Eq(t, "", errs.String())
	return out.String()
}

// part returns what is between two headings, the second excluded.
func part(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, found := strings.Cut(text, "== "+from)
	must.True(t, found, must.Sprint(from))
	text, _, found = strings.Cut(text, "== "+to)
	must.True(t, found, must.Sprint(to))
	return "== " + from + text
}

// words undoes the laying out of lines and columns.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

func golden(text string) string { return strings.TrimPrefix(text, "\n") }

// TestJSON: it says what the page says, word for word, whole or of some exercises.
func TestJSON(t *testing.T) {
	for _, args := range [][]string{nil, {"-step", "4", "-step", "7"}, {"-fields"}, {"-step", "6", "-fields=false"}} {
		var parts []struct {
			Title string
			Items []map[string]any
		}
		must.NoError(t, json.Unmarshal([]byte(play(t, append(args, "-json")...)), &parts))
		var said []string
		for _, p := range parts {
			said = append(said, "== "+p.Title)
			for _, i := range p.Items {
				must.MapLen(t, 1, i)
				for kind, what := range i {
					switch kind {
					case "explains":
						for _, f := range what.([]any) {
							f := f.(map[string]any)
							must.MapLen(t, 2, f)
							said = append(said, f["word"].(string), f["says"].(string))
						}
						continue
					case "command":
						said = append(said, "$")
					case "look":
						said = append(said, "->")
					}
					said = append(said, what.(string))
				}
			}
		}
		must.Eq(t, words(play(t, args...)), words(strings.Join(said, " ")))
	}
}

// The tables of the course's lab.
func TestExercises(t *testing.T) {
	lab := play(t, "-fields")
	for step, want := range map[int]string{
		1: `
$ containerlab inspect
╭───────────────────────────┬──────────────────────┬─────────┬───────────────────────╮
│            Name           │      Kind/Image      │  State  │     IPv4/6 Address    │
├───────────────────────────┼──────────────────────┼─────────┼───────────────────────┤
│ calico-ipam-control-plane │ k8s-kind             │ running │ 172.18.0.3            │
│                           │ kindest/node:v1.28.0 │         │ fc00:f853:ccd:e793::3 │
├───────────────────────────┼──────────────────────┼─────────┼───────────────────────┤
│ calico-ipam-worker        │ k8s-kind             │ running │ 172.18.0.2            │
│                           │ kindest/node:v1.28.0 │         │ fc00:f853:ccd:e793::2 │
├───────────────────────────┼──────────────────────┼─────────┼───────────────────────┤
│ calico-ipam-worker2       │ k8s-kind             │ running │ 172.18.0.4            │
│                           │ kindest/node:v1.28.0 │         │ fc00:f853:ccd:e793::4 │
╰───────────────────────────┴──────────────────────┴─────────┴───────────────────────╯
`,
		2: `
$ kubectl get tigerastatus
NAME        AVAILABLE   PROGRESSING   DEGRADED   SINCE
apiserver   True        False         False      12m
calico      True        False         False      12m
`,
		3: `
$ kubectl get nodes
NAME                        STATUS   ROLES           AGE   VERSION
calico-ipam-control-plane   Ready    control-plane   15m   v1.28.0
calico-ipam-worker          Ready    <none>          15m   v1.28.0
calico-ipam-worker2         Ready    <none>          15m   v1.28.0
`,
		4: `
$ calicoctl ipam show
+----------+----------------+-----------+------------+--------------+
| GROUPING |      CIDR      | IPS TOTAL | IPS IN USE |   IPS FREE   |
+----------+----------------+-----------+------------+--------------+
| IP Pool  | 192.168.0.0/16 |     65536 | 10 (0%)    | 65526 (100%) |
+----------+----------------+-----------+------------+--------------+
`,
		5: `
$ kubectl get blockaffinities
NAME                                         AGE
calico-ipam-control-plane-192-168-18-64-26   12m
calico-ipam-worker-192-168-131-128-26        12m
calico-ipam-worker2-192-168-112-128-26       12m
`,
		6: `
$ kubectl get blockaffinities -o yaml
apiVersion: v1
items:
- apiVersion: crd.projectcalico.org/v1
  kind: BlockAffinity
  metadata:
    creationTimestamp: "2026-01-01T09:03:20Z"
    name: calico-ipam-control-plane-192-168-18-64-26
  spec:
    cidr: 192.168.18.64/26
    deleted: "false"
    node: calico-ipam-control-plane
    state: confirmed
`,
		7: `
NAME                                         NODE                        CIDR
calico-ipam-control-plane-192-168-18-64-26   calico-ipam-control-plane   192.168.18.64/26
calico-ipam-worker-192-168-131-128-26        calico-ipam-worker          192.168.131.128/26
calico-ipam-worker2-192-168-112-128-26       calico-ipam-worker2         192.168.112.128/26
`,
	} {
		one := play(t, "-step", fmt.Sprint(step))
		if !strings.Contains(one, golden(want)) {
			t.Errorf("exercise %d:\n%s\nwant in it:\n%s", step, one, want)
		}
		next := fmt.Sprintf("Exercise %d", step+1)
		if step == course.Steps {
			next = "After: a node fills"
		}
		must.Eq(t, part(t, lab, fmt.Sprintf("Exercise %d", step), next), one, must.Sprint("the exercise alone is that part of the lab"))
		must.StrContains(t, one, "\n-> ", must.Sprint("what to see"))
	}
}

// TestFields: an exercise alone explains its fields, and the whole lab does when asked.
func TestFields(t *testing.T) {
	const available = "  AVAILABLE     True when all of the part runs and can be used.\n"
	must.StrContains(t, play(t, "-step", "2"), available)
	must.StrNotContains(t, play(t, "-step", "2", "-fields=false"), available)
	must.StrNotContains(t, play(t), available)
	must.StrContains(t, play(t, "-fields"), available)
	must.Eq(t, play(t, "-fields"), play(t, "-i"), must.Sprint("there is no terminal to wait for"))
	must.Eq(t, play(t), play(t, "-i", "-fields=false"))
	must.StrNotContains(t, play(t, "-step", "4"), "IPS RESERVED")
	must.StrContains(t, play(t, "-step", "4", "-calico", "v3.33"), "  IPS RESERVED   How many")
	for line := range strings.Lines(play(t, "-fields")) {
		if strings.HasPrefix(line, "  ") && !strings.ContainsAny(line, "│|") {
			must.LessEq(t, width+1, len([]rune(line)), must.Sprint(line))
		}
	}
}

// TestSeveralSteps: exercises that are asked for are all shown, once, in the lab's order.
func TestSeveralSteps(t *testing.T) {
	four, five, seven := play(t, "-step", "4"), play(t, "-step", "5"), play(t, "-step", "7")
	must.Eq(t, four+five, play(t, "-step", "4", "-step", "5"))
	must.Eq(t, four+seven, play(t, "-step", "7", "-step", "4", "-step", "7"))
}

// One claim, pending and then confirmed.
func TestClaim(t *testing.T) {
	text := part(t, play(t), "Before: one claim", "Before: the cluster")
	pending := strings.Index(text, "192.168.18.64/26   pending   does not exist\n")
	confirmed := strings.Index(text, "192.168.18.64/26   confirmed   63 free\n")
	must.Positive(t, pending, must.Sprint(text))
	must.Greater(t, pending, confirmed, must.Sprint(text))
}

func TestBoot(t *testing.T) {
	text := part(t, play(t), "Before: the cluster", "Exercise 1")
	for _, n := range []string{"VXLAN tunnel", "csi-node-driver"} {
		must.Eq(t, 3, strings.Count(text, n), must.Sprint(text))
	}
	must.StrContains(t, text, "-> 10 in use: 3 tunnel addresses and 7 pods.")
	must.StrNotContains(t, text, "borrowed")
}

func TestAfter(t *testing.T) {
	lab := play(t)
	full := part(t, lab, "After: a node fills", "After: a pod is deleted")
	must.StrContains(t, full, "| Block    | 192.168.131.128/26 |        64 | 64 (100%)  |")
	must.StrContains(t, full, "| Block    | 192.168.131.192/26 |        64 | 1 (2%)     |")

	back := part(t, lab, "After: a pod is deleted", "After: is the pool")
	must.StrContains(t, back, "after                              1-63,0\n", must.Sprint("the address goes to the end of the queue"))
	must.StrContains(t, back, "-> It comes back after 63 others")
	must.StrContains(t, back, "192.168.131.192   own     calico-ipam-worker   next-64\n")

	ranges := part(t, lab, "After: is the pool", "After: a pod gets no address")
	must.StrContains(t, ranges, "services      10.96.0.0/16              apart\n")
	must.Eq(t, 3, strings.Count(ranges, " apart\n"))
	must.StrContains(t, ranges, "/26         64          1024            1280                  this lab\n")
	must.StrContains(t, ranges, "/16 of /26 blocks: 1024.")

	must.Eq(t, 8, strings.Count(lab, "\n-> ok:"), must.Sprint("all is well in the course's lab"))
	must.StrNotContains(t, lab, "LOOK")
	must.StrContains(t, lab, "1. Has the node enough blocks?\n")
}

// Prose keeps to 80 columns, and nothing that is not for people is printed.
func TestPage(t *testing.T) {
	lab := play(t)
	must.Eq(t, lab, play(t), must.Sprint("the same on every run"))
	must.StrNotContains(t, lab, "\x1b", must.Sprint("no colours but on a terminal"))
	for line := range strings.Lines(lab) {
		line = strings.TrimSuffix(line, "\n")
		must.Eq(t, strings.TrimRight(line, " "), line, must.Sprint("no blanks at the end"))
		table := strings.HasPrefix(line, "|") || strings.HasPrefix(line, "+") || strings.ContainsAny(line, "│╭├╰") || strings.Contains(line, "   ")
		if !table {
			must.LessEq(t, width, len([]rune(line)), must.Sprint(line))
		}
	}
	var out strings.Builder
	p := page{out: &out, bold: true}
	p.item(course.Item{Kind: course.Command, Text: "x"})
	must.Eq(t, "\x1b[1m$ x\x1b[0m\n", out.String())
}

// TestOwn: whatever cluster the reader asks for, the story is true.
func TestOwn(t *testing.T) {
	large := []string{"many nodes", "more nodes than a /16 carries", "largest blocks"}
	for _, c := range []struct {
		name string
		args []string
		want []string // in this order
	}{
		{"more nodes than blocks", []string{"-pool", "10.0.0.0/28", "-block-size", "30", "-nodes", "9"}, []string{
			"10.0.0.9 borrowed calico-ipam-worker4 VXLAN tunnel",
			"none exhausted:10.0.0.0/28 calico-ipam-worker8",
			"16 in use: 9 tunnel addresses and 7 pods, while 6 more asked in vain.",
			"calico False True False",
			"|        16 | 16 (100%)  | 0 (0%)   |",
			"Every address is taken.",
			"Nodes with a block: 4 of 9.",
			"web-1 gets no address (exhausted:10.0.0.0/28)",
			"It comes back at once",
			"LOOK: 9 of 9",
			"LOOK: 4 taken, of 4.",
			"LOOK: 7 of 23.",
		}},
		{"one block", []string{"-pool", "10.0.0.0/26"}, []string{
			"10 in use: 3 tunnel addresses and 7 pods",
			"No block is left to claim, though 54 addresses are free.",
			"Nodes with a block: 1 of 3.",
			"calico-ipam-worker owns no block",
			"borrowed from 10.0.0.0/26 of calico-ipam-control-plane",
			"It comes back after 53 others",
		}},
		{"IPv6", []string{"-pool", "fd00::/112"}, []string{
			"fd00::8380 own calico-ipam-worker VXLAN tunnel",
			"| IP Pool  | fd00::/112 |     65536 | 10 (0%)    |",
			"calico-ipam-control-plane-fd00--1240-122",
			"cidr: fd00::1240/122",
			"It comes back after 63 others",
			"fd00::/112 touches none",
		}},
		{"huge IPv6", []string{"-pool", "fd00::/48"}, []string{
			"(blocks of /122: 2^74)",
			"1.2089e+24 | 10 (0%)    |",
			"So calicoctl v3.28 prints it",
		}},
		{"huge IPv6 of v3.33", []string{"-pool", "fd00::/48", "-calico", "v3.33"}, []string{
			"(blocks of /122: 2^74)",
			"9.2234e+18 |    10 (0%) |",
			"IPS FREE overflows",
			"So calicoctl v3.33 prints it",
		}},
		{"one node", []string{"-nodes", "1"}, []string{
			"6 in use: 1 tunnel address and 5 pods",
			"Nodes with a block: 1 of 1.",
			"calico-ipam-control-plane owns 192.168.18.64/26",
			"It comes back after 63 others",
		}},
		{"many nodes", []string{"-nodes", "200"}, []string{
			"…",
			"404 in use: 200 tunnel addresses and 204 pods",
			"172.18.0.201",
			"calico-ipam-worker199",
			"Nodes with a block: 200 of 200.",
			"(of 201 blocks, those of calico-ipam-worker)",
		}},
		{"more nodes than a /16 carries", []string{"-nodes", "1030"}, []string{
			"172.18.4.7",
			"Nodes with a block: 1024 of 1030.",
		}},
		{"single addresses", []string{"-block-size", "32"}, []string{
			"the clock decides where it starts",
			"Every block is a single address.",
			"the node has claimed another block",
			"It comes back at once",
		}},
		{"two addresses in all", []string{"-pool", "10.0.0.0/31", "-block-size", "32"}, []string{
			"2 in use: 2 tunnel addresses and 0 pods, while 8 more asked in vain",
			"No pod has an address to give back.",
		}},
		{"largest blocks", []string{"-pool", "10.0.0.0/8", "-block-size", "20"}, []string{
			"the last of them web-4092,",
			"It comes back after 4095 others",
			"TOUCHES",
			"LOOK: 10.0.0.0/8 touches services (10.96.0.0/16).",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if slices.Contains(large, c.name) {
				property.Slow(t)
			}
			text := play(t, c.args...)
			rest := words(text)
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, words(want))
				if !found {
					t.Fatalf("no %q, or not in this place, in\n%s", want, text)
				}
				rest = after
			}
			must.StrContains(t, text, "-> ok: the allocator's own check")
		})
	}
}

func TestBadUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-step", "8"}, "-step 8: there are exercises 1 to 7"},
		{[]string{"-step", "4", "-step", "8"}, "-step 8: there are exercises 1 to 7"},
		{[]string{"-step", "0"}, "-step 0: there are exercises 1 to 7"},
		{[]string{"-step", "-1"}, "-step -1: there are exercises 1 to 7"},
		{[]string{"-step", "x"}, "-step"},
		{[]string{"-nodes", "0"}, "-nodes 0: must be from 1 to 5000"},
		{[]string{"-nodes", "5001"}, "-nodes 5001: must be from 1 to 5000"},
		{[]string{"-pool", "10.0.0.0"}, "-pool 10.0.0.0: not a CIDR"},
		{[]string{"-pool", "10.0.0.1/8"}, "-pool 10.0.0.1/8: has host bits"},
		{[]string{"-pool", "10.0.0.0/28"}, "-pool 10.0.0.0/28: is smaller than a block"},
		{[]string{"-pool", "fd00::1%eth0/112"}, "-pool fd00::1%eth0/112: not a CIDR"},
		{[]string{"-block-size", "19"}, "-block-size 19: must be from 20 to 32"},
		{[]string{"-block-size", "33", "-pool", "10.0.0.1/8"}, "-"},
		{[]string{"-pool", "fd00::/112", "-block-size", "26"}, "-block-size 26: must be from 116 to 128"},
		{[]string{"-verbose"}, "-verbose: no such flag"},
		{[]string{"-i", "-json"}, "-i waits for a reader"},
		{[]string{"4"}, `"4": there are no arguments`},
	} {
		var out, errs bytes.Buffer
		must.Eq(t, 2, run(c.args, nil, &out, &errs), must.Sprint(c.args))
		must.Eq(t, "", out.String())
		must.StrContains(t, errs.String(), c.want)
		must.Eq(t, 1, strings.Count(errs.String(), "\n"), must.Sprint(errs.String()))
	}
}

func TestHelp(t *testing.T) {
	help := play(t, "-h")
	must.True(t, strings.HasPrefix(help, "Go through the course's lab"), must.Sprint(help))
	for line := range strings.Lines(help) {
		must.LessEq(t, width+1, len(line))
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputFails(t *testing.T) {
	var errs bytes.Buffer
	must.Eq(t, 2, run(nil, nil, full{}, &errs))
	must.Eq(t, "lab: no space left\n", errs.String())
}
