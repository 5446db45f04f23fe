package session

import (
	"encoding/json"
	"slices"
	"strconv"
)

// This file writes views. Their nodes are thousands, for which package json takes longer
// than a page may wait.

// marshal is [json.Marshal], with the fields of a view in another order.
func marshal(reply any) ([]byte, error) {
	v, ok := reply.(*View)
	if !ok || v == nil {
		return json.Marshal(reply)
	}
	type plain View // without the method, if it ever has one
	rest := *(*plain)(v)
	rest.Nodes = nil
	text, err := json.Marshal(struct {
		plain
		Nodes struct{} `json:"nodes,omitzero"`
	}{plain: rest})
	if err != nil {
		return nil, err
	}
	text = append(slices.Grow(text[:len(text)-1], 320*len(v.Nodes)+64), `,"nodes":[`...)
	for i := range v.Nodes {
		if i > 0 {
			text = append(text, ',')
		}
		if text, err = v.Nodes[i].append(text); err != nil {
			return nil, err
		}
	}
	return append(text, "]}"...), nil
}

// append appends the node as JSON.
func (n *NodeView) append(to []byte) ([]byte, error) {
	to = append(appendText(append(to, `{"name":`...), n.Name), `,"labels":`...)
	if n.of.labelText == nil {
		text, err := json.Marshal(n.Labels)
		if err != nil {
			return nil, err
		}
		n.of.labelText = text
	}
	to = append(to, n.of.labelText...)
	to = strconv.AppendBool(append(to, `,"cordoned":`...), n.Cordoned)
	to = strconv.AppendBool(append(to, `,"gone":`...), n.Gone)
	to = strconv.AppendInt(append(to, `,"pods":`...), int64(n.Pods), 10)
	to = strconv.AppendInt(append(to, `,"waiting":`...), int64(n.Waiting), 10)
	to = strconv.AppendInt(append(to, `,"borrows":`...), int64(n.Borrows), 10)
	to = append(to, `,"blocks":[`...)
	for i := range n.Blocks {
		if i > 0 {
			to = append(to, ',')
		}
		to = n.Blocks[i].append(to)
	}
	return append(to, "]}"...), nil
}

// append appends the block as JSON.
func (b *BlockView) append(to []byte) []byte {
	to = appendText(append(to, `{"cidr":`...), b.CIDR)
	to = appendText(append(to, `,"state":`...), b.State)
	to = strconv.AppendBool(append(to, `,"exists":`...), b.Exists)
	to = strconv.AppendInt(append(to, `,"inUse":`...), int64(b.InUse), 10)
	to = strconv.AppendInt(append(to, `,"free":`...), int64(b.Free), 10)
	to = strconv.AppendInt(append(to, `,"cooling":`...), int64(b.Cooling), 10)
	to = strconv.AppendInt(append(to, `,"lent":`...), int64(b.Lent), 10)
	return append(to, '}')
}

// appendText appends a text as JSON.
func appendText(to []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= 0x7f {
			raw, _ := json.Marshal(text) // a text can always be written
			return append(to, raw...)
		}
	}
	return append(append(append(to, '"'), text...), '"')
}
