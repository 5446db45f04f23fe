package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

type exportArgs struct {
	What string `json:"what"`
}

// File is a file to save.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Export returns the state as a file: "trace", a recording that ipamsim replay replays;
// "resources", what kubectl get -o yaml would print of it; or "operations", which
// [Session.OpenOperations] reads.
func (s *Session) Export(what string) (*File, error) {
	if s.slow != nil {
		return nil, errSlow
	}
	switch what {
	case "trace":
		text, err := s.trace()
		return &File{"lab.jsonl", string(text)}, err
	case "resources":
		text, err := s.world.resources()
		return &File{"cluster.yaml", text}, err
	case "operations":
		if s.dump != nil {
			return nil, errors.New("what: the operations of a cluster that was opened from a file are of no use without it: export resources")
		}
		return &File{"operations.json", string(s.operations()) + "\n"}, nil
	}
	return nil, unknown("what", "export", what, []string{"operations", "resources", "trace"})
}

// resources are the cluster's objects, and its pods.
func (w *world) resources() (string, error) {
	var out bytes.Buffer
	if err := (&snapshot.Snapshot{Cluster: w.ipam.Cluster(), Calico: w.ipam.Calico()}).WriteYAML(&out, snapshot.V1); err != nil {
		return "", err
	}
	type meta struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	}
	type ip struct {
		IP string `json:"ip"`
	}
	type resource struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   meta              `json:"metadata"`
		Spec       map[string]string `json:"spec"`
		Status     struct {
			Phase string `json:"phase"`
			PodIP string `json:"podIP,omitempty"`
			IPs   []ip   `json:"podIPs,omitempty"`
		} `json:"status"`
	}
	list := struct {
		APIVersion string     `json:"apiVersion"`
		Kind       string     `json:"kind"`
		Items      []resource `json:"items"`
	}{APIVersion: "v1", Kind: "PodList", Items: []resource{}}
	for _, p := range w.everybody() {
		if p.namespace == "" {
			continue
		}
		r := resource{APIVersion: "v1", Kind: "Pod", Metadata: meta{p.name, p.namespace}, Spec: map[string]string{"nodeName": p.node.name}}
		r.Status.Phase = "Pending"
		for _, one := range p.ips {
			r.Status.Phase = "Running"
			r.Status.IPs = append(r.Status.IPs, ip{one.String()})
		}
		if len(p.ips) > 0 {
			r.Status.PodIP = p.ips[0].String()
		}
		list.Items = append(list.Items, r)
	}
	pods, err := json.Marshal(list) // which is YAML too
	return out.String() + "---\n" + string(pods) + "\n", err
}

// trace is the session as a recording.
func (s *Session) trace() ([]byte, error) {
	if s.dump != nil {
		return nil, errors.New("what: a recording begins with an empty cluster, and this one was opened from a file: export resources")
	}
	first := s.ops[0]
	v, err := first.release()
	if err != nil {
		return nil, err
	}
	w := newWorld(v, start)
	w.journal = &journal{at: start}
	for i, op := range s.ops[:s.at] {
		if err := w.apply(op); err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", i+1, op, err)
		}
	}
	h := trace.Header{
		Name: "web-lab", About: fmt.Sprintf("exported from the web lab after %s", count(s.at, "step")), Start: start, Calico: v.String(),
		LeakGracePeriodSeconds: int64(lifecycle.DefaultPolicy().GracePeriod / time.Second),
	}
	w.note("Show", trace.In{State: "blocks"})
	w.note("State", trace.In{})
	var out bytes.Buffer
	to, err := trace.NewWriter(&out, h)
	if err != nil {
		return nil, err
	}
	player, err := trace.NewPlayer(h)
	if err != nil {
		return nil, err
	}
	for _, op := range w.journal.ops {
		if op.Out, err = player.Do(op); err != nil {
			return nil, err
		}
		if err := to.Write(op); err != nil {
			return nil, err
		}
	}
	if key, want, is := trace.StateOf(s.world.ipam.State(), "").Compare(trace.StateOf(player.Engine().State(), "")); key != "" {
		return nil, fmt.Errorf("the recording would end in another state: %s is %s, not %s", key, is, want)
	}
	return out.Bytes(), nil
}

// errUnrecordable is for slow acts that leave what no operation of a recording leaves.
var errUnrecordable = errors.New("a client died half-way and has left what no operation of a recording leaves (a handle that counts an address that it does not have, or a part of a deletion): undo that step for a recording, or export resources")

// journalSlow journals operations that do what a slow act has done to the allocator.
func (w *world) journalSlow(s *slow, before, after ipam.State) error {
	want := trace.StateOf(after, "")
	for _, order := range s.orders() {
		ops, err := w.imitate(order, after, want)
		if err != nil {
			return err
		}
		if ops != nil {
			for _, op := range ops {
				w.note(op.Op, op.In)
			}
			return nil
		}
	}
	return errUnrecordable
}
