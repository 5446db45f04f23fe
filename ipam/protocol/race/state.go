package race

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// compareStates returns the first object, by key, that differs.
func compareStates(want, got *trace.State) *Difference {
	w, g := objects(want), objects(got)
	keys := slices.AppendSeq(slices.Collect(maps.Keys(w)), maps.Keys(g))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		if d := compare("state, "+string(key), orNothing(w[key]), orNothing(g[key])); d != nil {
			return d
		}
	}
	return nil
}

// orNothing returns the text, or what stands for none.
func orNothing(text string) string {
	if text == "" {
		return nothing
	}
	return text
}

// objects returns the text of every object of a dump. Of an object that is there
// twice both count.
func objects(s *trace.State) map[protocol.Key]string {
	all := make(map[protocol.Key]string)
	add := func(key string, object any) {
		text, err := json.Marshal(object)
		if err != nil {
			text = []byte(err.Error()) // no field can fail
		}
		all[protocol.Key(key)] += string(text)
	}
	for _, b := range s.Blocks {
		add("block/"+b.CIDR, b)
	}
	for _, a := range s.Affinities {
		add("affinity/"+a.Type+":"+a.Host+"/"+a.CIDR, a)
	}
	for id, counts := range s.Handles {
		add("handle/"+id, counts)
	}
	return all
}
