package snapshot

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Action is what a [Fix] does. Programs may rely on its text:
//
//   - "look" changes nothing.
//   - "delete-pod" deletes a pod, whose controller makes another.
//   - "restart-calico-node" restarts calico-node on a node, which asks for tunnel
//     addresses anew.
//   - "release-address" gives an address back, whoever has it.
//   - "delete-handle" deletes an IPAMHandle.
//   - "delete-affinity" deletes a BlockAffinity.
//   - "create-affinity" makes a confirmed BlockAffinity.
//   - "pause-cleaning" keeps kube-controllers from releasing what it misses.
type Action string

// The actions, as [Action] explains them.
const (
	doLook           Action = "look"
	doDeletePod      Action = "delete-pod"
	doRestartNode    Action = "restart-calico-node"
	doReleaseAddress Action = "release-address"
	doDeleteHandle   Action = "delete-handle"
	doDeleteAffinity Action = "delete-affinity"
	doCreateAffinity Action = "create-affinity"
	doPauseCleaning  Action = "pause-cleaning"
)

// A Fix is one command of those that mend a finding.
type Fix struct {
	Does Action `json:"does"`
	// Object is what the command is about: an address, the name of a node, handle or
	// affinity, or a pod as "namespace/name".
	Object string `json:"object"`
	// Command is what to type. It needs no quotes but those that it has.
	Command string `json:"command"`
	// DryRun commands say what would be done and do nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// dryRun is kubectl's flag.
const dryRun = " --dry-run=server"

// isObjectName reports whether an object of Kubernetes can have that name. Others do not
// get into commands.
func isObjectName(name string) bool {
	inside := func(b byte) bool { return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' }
	n := len(name)
	if n == 0 || n > maxName || !inside(name[0]) || !inside(name[n-1]) {
		return false
	}
	for i := range n {
		if b := name[i]; !inside(b) && b != '-' && b != '.' {
			return false
		}
	}
	return true
}

// tried returns a command of kubectl twice, first as a dry run; nothing where one of
// the names cannot be that of an object.
func tried(does Action, object, command string, names ...string) []Fix {
	for _, name := range names {
		if !isObjectName(name) {
			return nil
		}
	}
	return []Fix{{does, object, command + dryRun, true}, {does, object, command, false}}
}

func deletePod(namespace, name string) []Fix {
	return tried(doDeletePod, namespace+"/"+name, "kubectl delete pod -n "+namespace+" "+name, namespace, name)
}

func restartNode(node string) []Fix {
	return tried(doRestartNode, node, "kubectl delete pod -A -l k8s-app=calico-node --field-selector=spec.nodeName="+node, node)
}

func deleteHandle(id string) []Fix {
	name := handleKey(id)
	return tried(doDeleteHandle, name, "kubectl delete ipamhandle "+name, name)
}

// lookForUser looks for pods with an address, and for what its allocation says.
func lookForUser(ip netip.Addr) []Fix {
	text := ip.String()
	return []Fix{
		{Does: doLook, Object: text, Command: "kubectl get pods -A -o wide | grep -wF " + text},
		{Does: doLook, Object: text, Command: "calicoctl ipam show --ip=" + text},
	}
}

// release gives an address back, once nobody is found to have it.
func release(ip netip.Addr) []Fix {
	return append(lookForUser(ip), Fix{Does: doReleaseAddress, Object: ip.String(), Command: "calicoctl ipam release --ip=" + ip.String()})
}

// pause keeps kube-controllers from taking addresses meanwhile.
func pause() []Fix {
	return tried(doPauseCleaning, "default", `kubectl patch kubecontrollersconfiguration default --type=merge -p '{"spec":{"controllers":{"node":{"leakGracePeriod":"0s"}}}}'`)
}

// stored is how kubectl finds the affinities that the datastore holds. Calico's API
// server shows them too, and changes none.
const stored = "blockaffinities.crd.projectcalico.org"

// deleteAffinity deletes the affinity of that name.
func deleteAffinity(name string) []Fix {
	return tried(doDeleteAffinity, name, "kubectl delete "+stored+" "+name, name)
}

// createAffinity makes the affinity that a block's owner lacks.
func createAffinity(name, node string, cidr netip.Prefix) []Fix {
	object := `{"apiVersion":"` + groupV1 + `","kind":"BlockAffinity","metadata":{"name":"` + name + `"},"spec":{"cidr":"` + cidr.String() +
		`","node":"` + node + `","state":"confirmed","deleted":"false"}}`
	return tried(doCreateAffinity, name, "echo '"+object+"' | kubectl create -f -", name, node)
}

// printable returns a text without anything that a terminal obeys: what cannot be
// printed is escaped as in Go.
func printable(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) || r == utf8.RuneError }) {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// spanText writes a span of time for people.
func spanText(d time.Duration) string {
	if d > 0 && d%time.Minute == 0 {
		return plural(int(d/time.Minute), "minute", "minutes")
	}
	return d.String()
}
