package whatif

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// sampleWorld is the sample as -gc leaves it.
func sampleWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(loadSample(t))
	must.NoError(t, err)
	must.NoError(t, w.collect(new(change)))
	return w
}

// checked writes the cluster as it stands, with its pods, and returns what -check says of
// its pools.
func checked(t *testing.T, w *world) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.json")
	f, err := os.Create(path)
	must.NoError(t, err)
	must.NoError(t, write(f, path, &snapshot.Snapshot{Cluster: w.a.Cluster(), Calico: w.a.Calico()}))
	for _, p := range w.Pods() {
		var ips []string
		for _, ip := range p.IPs {
			ips = append(ips, fmt.Sprintf(`{"ip":%q}`, ip))
		}
		fmt.Fprintf(f, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":%q},"spec":{"nodeName":%q},"status":{"podIPs":[%s]}}`+"\n", p.Name, p.Namespace, p.Node, strings.Join(ips, ","))
	}
	must.NoError(t, f.Close())
	_, out, errs := do("-f", path, "-check")
	must.Eq(t, "", errs)
	_, says, _ := strings.Cut(out, "== How far pools have moved\n\n")
	return strings.Join(strings.Fields(says), " ")
}

// TestProgressOfResizing: after each step of -resize-pool, -check says which comes next.
func TestProgressOfResizing(t *testing.T) {
	property.Slow(t)
	w := sampleWorld(t)
	must.Eq(t, "", checked(t, w))
	old, err := w.poolCalled("blue")
	must.NoError(t, err)
	resized, temporary := old, old
	resized.BlockSize, temporary.BlockSize = 29, 29
	temporary.Name, temporary.CIDR = "blue-temporary", netip.MustParsePrefix("10.0.0.0/23")
	set := func(p pool.Spec, disabled bool) {
		p.Disabled = disabled
		must.NoError(t, w.a.SetPool(p))
	}
	move := func(p pool.Spec, nodes []string) {
		back, err := w.Vacate(p.CIDR, nodes)
		must.NoError(t, err)
		must.SliceEmpty(t, w.refused(back))
	}
	const as = "As a change of the block size of blue (-resize-pool) this is step %d of 8. Next: "
	step := func(n int, says, next string) {
		t.Helper()
		got := checked(t, w)
		must.StrContains(t, got, says)
		if n == 2 {
			must.StrContains(t, got, "If pool blue is to go, this is step 2 of 8. Next: "+next)
			return
		}
		must.StrContains(t, got, fmt.Sprintf(as, n)+next)
	}
	set(temporary, false)
	step(2, "Pools blue and blue-temporary are both enabled, and 314 of 314 pods still in pool blue and 37 tunnels on 37 nodes: node-21, node-23, ", `calicoctl patch ippool blue -p '{"spec":{"disabled":true}}'`)
	set(old, true)
	step(3, "314 of 314 pods still in pool blue and 37 tunnels on 37 nodes: node-21, ", "kubectl drain node-21 --ignore-daemonsets --delete-emptydir-data --dry-run=server")
	order := w.drainOrder(w.standing(old))
	move(old, order[:20])
	step(3, fmt.Sprintf("of 314 pods still in pool blue and 17 tunnels on 17 nodes: %s, ", order[20]), "kubectl drain "+order[20]+" ")
	move(old, order[20:])
	step(4, "No pod or tunnel of a node is in pool blue any more.", "calicoctl ipam show --show-blocks calicoctl delete ippool blue")
	w.a.DeletePool("blue")
	step(5, "There is no pool blue, and pool blue-temporary has 314 pods.", "calicoctl create -f blue.yaml")
	set(resized, false)
	step(6, "Pool blue is there with blocks of /29, and 314 of 314 pods still in pool blue-temporary", `calicoctl patch ippool blue-temporary -p '{"spec":{"disabled":true}}'`)
	set(temporary, true)
	order = w.drainOrder(w.standing(temporary))
	move(temporary, order[:5])
	step(7, "of 314 pods still in pool blue-temporary and", "kubectl drain "+order[5])
	move(temporary, order[5:])
	step(8, "No pod or tunnel of a node is in pool blue-temporary any more.", "calicoctl ipam show --show-blocks calicoctl delete ippool blue-temporary")
	w.a.DeletePool("blue-temporary")
	must.Eq(t, "", checked(t, w))
}

// TestProgressOfMigration: after each step of -migrate-pool, whatever the pools are
// called, and where steps were left out.
func TestProgressOfMigration(t *testing.T) {
	property.Slow(t)
	w := sampleWorld(t)
	old, err := w.poolCalled("blue")
	must.NoError(t, err)
	for _, name := range []string{"blue-new", "red"} {
		w := sampleWorld(t)
		made, disabled := old, old
		made.Name, made.CIDR, disabled.Disabled = name, netip.MustParsePrefix("10.40.0.0/22"), true
		must.NoError(t, w.a.SetPool(made))
		if got := checked(t, w); name == "red" {
			must.Eq(t, "", got, must.Sprint("two pools are no migration"))
		} else {
			must.StrContains(t, got, "If pool blue is to go, this is step 2 of 5. Next: calicoctl patch ippool blue ")
		}
		must.NoError(t, w.a.SetPool(disabled))
		order := w.drainOrder(w.standing(old))
		back, err := w.Vacate(old.CIDR, order[:30])
		must.NoError(t, err)
		must.SliceEmpty(t, w.refused(back))
		got := checked(t, w)
		must.StrContains(t, got, map[string]string{"blue-new": "76 of 314", "red": "76 of 285"}[name]+" pods still in pool blue and 7 tunnels on 7 nodes: "+order[30]+", ", must.Sprint("some went to green"))
		must.StrContains(t, got, "As a move to "+name+" (-migrate-pool) this is step 3 of 5. Next: kubectl drain "+order[30]+" --ignore-daemonsets --delete-emptydir-data --dry-run=server")
		if name == "red" {
			w.a.DeletePool("blue") // too early
			got = checked(t, w)
			must.StrContains(t, got, "blocks lie in no pool, with ")
			must.StrContains(t, got, "As a move to another pool (-migrate-pool) this is step 3 of 5, which was left out. Next: kubectl drain")
			continue
		}
		back, err = w.Vacate(old.CIDR, order[30:])
		must.NoError(t, err)
		must.SliceEmpty(t, w.refused(back))
		must.StrContains(t, checked(t, w), "As a move to blue-new (-migrate-pool) this is step 5 of 5. Next: calicoctl delete ippool blue")
		w.a.DeletePool("blue")
		must.Eq(t, "", checked(t, w))
	}

	// Merely disabled.
	green, err := w.poolCalled("green")
	must.NoError(t, err)
	green.Disabled = true
	must.NoError(t, w.a.SetPool(green))
	got := checked(t, w)
	must.StrContains(t, got, "Pool green is disabled")
	old.Disabled = true
	must.NoError(t, w.a.SetPool(old))
	got = checked(t, w)
	must.StrContains(t, got, "Pool blue is disabled, with 314 of 314 pods still in pool blue and 37 tunnels on 37 nodes")
	must.StrContains(t, got, "and no enabled pool is for pods of node-21, ")
	must.StrContains(t, got, "what restarts there gets no address.")
	must.StrNotContains(t, got, "As a move")
}

// TestProgressOfOldBlocks: blocks of the size that a pool had before, in text, JSON and on
// the page.
func TestProgressOfOldBlocks(t *testing.T) {
	const file = "../../../testdata/field/04-old-blocks-after-a-new-block-size.yaml"
	page := filepath.Join(t.TempDir(), "report.html")
	_, inJSON, errs := do("-f", file, "-check", "-json", "-o", page)
	must.Eq(t, "", errs)
	var r result
	must.NoError(t, json.Unmarshal([]byte(inJSON), &r))
	must.Len(t, 1, r.Moves)
	must.Eq(t, []any{"main", 3, 8, 2, 3, []string{"n2", "n3"}}, []any{r.Moves[0].Pool, r.Moves[0].Step, r.Moves[0].Steps, r.Moves[0].Pods, r.Moves[0].Of, r.Moves[0].Nodes})
	html, err := os.ReadFile(page)
	must.NoError(t, err)
	must.StrContains(t, string(html), "this is step 3 of 8, which was left out; -check has the commands.")
	_, out, errs := do("-f", file, "-check")
	must.Eq(t, "", errs)
	out = strings.Join(strings.Fields(out), " ")
	must.StrContains(t, out, "of another size left, with 2 of 3 pods: it was made anew before they were gone, on n2, n3.")
	must.StrContains(t, out, "As a change of the block size (-resize-pool) this is step 3 of 8, which was left out. Next: kubectl drain n2 ")
}

// TestResizeProcedure: each step with what came of it here, and what is refused where one
// comes too early.
func TestResizeProcedure(t *testing.T) {
	property.Slow(t)
	status, r := ask(t, "-gc", "-resize-pool", "blue:29")
	must.Zero(t, status)
	c := r.Steps[1]
	must.Len(t, stepsOfResizing, c.Procedure)
	for i, want := range []struct{ do, early, result string }{
		{"Make pool blue-temporary", "", "has room for 64 blocks of /29"},
		{"Disable pool blue.", "before pool blue-temporary is there, one more pod on each node is refused on 27 nodes", "none would be refused"},
		{"Restart the pods of 37 nodes", "before pool blue is disabled", "351 pods and tunnels of 37 nodes came back, 57 blocks of blue-temporary are used"},
		{"then delete pool blue.", "without its NAT", "no block of blue is left"},
		{"Make pool blue anew, with blocks of /29.", "while a block of /28 is left it cannot be made anew (refused, ", "pool blue 10.10.0.0/23 has room for 64 blocks of /29"},
		{"Disable pool blue-temporary.", "before pool blue is there, one more pod on each node is refused on 27 nodes", "none would be refused"},
		{"Restart the pods of all nodes once more", "before pool blue-temporary is disabled", "57 blocks of blue are used"},
		{"then delete pool blue-temporary.", "without its NAT", "7 blocks left of blue"},
	} {
		must.StrContains(t, c.Procedure[i].Do, want.do)
		must.StrContains(t, c.Procedure[i].Early, want.early)
		must.StrContains(t, c.Procedure[i].Result, want.result)
	}
	// What stands in the way stops it where it would.
	_, r = ask(t, "-resize-pool", "blue:29")
	must.StrContains(t, r.Steps[0].Procedure[3].Result, "6 blocks are of blue left")
	must.Eq(t, "", r.Steps[0].Procedure[4].Result)
}

// TestMovesOfThoseWhoAsk: pods that ask for the pool are moved with it, and those that ask
// for an address of it wait for the pool to be there again.
func TestMovesOfThoseWhoAsk(t *testing.T) {
	manual := strings.Replace(asked(`ipv4pools: '["default"]'`), "nodeSelector: all()", "assignmentMode: Manual, nodeSelector: all()", 1)
	status, out, _ := about(manual, "-migrate-pool", "default:10.80.0.0/24")
	must.Zero(t, status, must.Sprint(out))
	must.StrContains(t, out, "2 addresses of pool default, on 1 node, would move to default-new 10.80.0.0/24")
	status, out, _ = about(manual, "-resize-pool", "default:28")
	must.Zero(t, status, must.Sprint(out))

	fixed := asked(`ipAddrs: '["10.64.0.11"]'`)
	status, out, _ = about(fixed, "-migrate-pool", "default:10.80.0.0/24")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "shop/db-0 on n1: its annotation asks for 10.64.0.11, which no enabled pool has")
	status, out, _ = about(fixed, "-resize-pool", "default:28")
	must.Zero(t, status, must.Sprint(out))
	must.StrContains(t, out, "1 is refused: shop/db-0, its annotation asks for 10.64.0.11, which no enabled pool has")
	must.StrContains(t, out, "pods with addresses")
}

// TestSpare: a temporary pool goes where nothing is.
func TestSpare(t *testing.T) {
	for _, c := range []struct{ text, like, want string }{
		{"", "10.64.0.0/24", "10.0.0.0/24"},
		{nodeAt("10.0.0.7"), "10.64.0.0/24", "10.0.1.0/24"},
		{"---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\nspec: {cidrs: ['10.0.0.0/12']}\n", "10.64.0.0/24", "10.16.0.0/24"},
		{"", "192.168.0.0/16", "192.168.0.0/16"},
		{"", "172.16.0.0/12", "172.16.0.0/12"},
		{"", "10.0.0.0/8", "172.16.0.0/12"},
		{"", "fd00:10::/112", "fd00:10::/112"},
	} {
		l := snapshot.NewLoader(snapshot.Options{})
		must.NoError(t, l.Add("x", strings.NewReader(asked("")+c.text)))
		s, err := l.Snapshot()
		must.NoError(t, err)
		w, err := newWorld(s)
		must.NoError(t, err)
		got, found := w.spare(netip.MustParsePrefix(c.like), map[bool]int{false: 26, true: 122}[strings.Contains(c.like, "::")])
		must.True(t, found)
		must.Eq(t, c.want, got.String(), must.Sprint(c))
	}
}

func nodeAt(ip string) string {
	return "---\napiVersion: v1\nkind: Node\nmetadata: {name: n3}\nstatus: {addresses: [{type: InternalIP, address: " + ip + "}]}\n"
}
