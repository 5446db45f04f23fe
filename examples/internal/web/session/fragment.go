package session

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	maxFragment = 8 << 10 // bytes, which every browser and most messengers keep whole
	maxInflated = 1 << 20
)

// shared is the content of a fragment, and of the export of operations.
type shared struct {
	Version int               `json:"ipamsim"`
	At      int               `json:"at"`
	Ops     []json.RawMessage `json:"ops"`
}

const sharedVersion = 1

type fragmentArgs struct {
	Fragment string `json:"fragment"`
}

// Fragment returns the session as text for the fragment of a URL.
func (s *Session) Fragment() (string, error) {
	if s.dump != nil {
		return "", errors.New("a link cannot hold a cluster that was opened from a file: send the file, or export it")
	}
	var out bytes.Buffer
	z, _ := flate.NewWriter(&out, flate.BestCompression)
	_, err := z.Write(s.operations())
	if err := errors.Join(err, z.Close()); err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(out.Bytes())
	if len(text) > maxFragment {
		return "", fmt.Errorf("the operations are too many for a link: %s bytes, and at most %s go well; export them instead", thousands(len(text)), thousands(maxFragment))
	}
	return text, nil
}

// operations is the list of operations as JSON.
func (s *Session) operations() []byte {
	list := shared{Version: sharedVersion, At: s.at}
	for _, op := range s.ops {
		raw, err := json.Marshal(op)
		if err != nil {
			panic(err) // it has texts and numbers only
		}
		list.Ops = append(list.Ops, raw)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return raw
}

// Open makes the session what a fragment has.
func (s *Session) Open(fragment string) error {
	if s.slow != nil {
		return errSlow
	}
	raw, err := base64.RawURLEncoding.DecodeString(fragment)
	if err != nil {
		return broken("a letter in it is none of a link")
	}
	z := flate.NewReader(bytes.NewReader(raw))
	raw, err = io.ReadAll(io.LimitReader(z, maxInflated+1))
	switch {
	case err != nil:
		return broken("it was cut off or changed")
	case len(raw) > maxInflated:
		return broken("it has more than can be")
	}
	return s.openJSON(raw)
}

// broken is the error about a link that cannot be opened.
func broken(why string) error {
	return &reasons{"these operations cannot be opened; the cluster is as it was", []string{why}}
}

// OpenOperations makes the session what an export of operations has.
func (s *Session) OpenOperations(raw []byte) error {
	if s.slow != nil {
		return errSlow
	}
	return s.openJSON(raw)
}

// openJSON makes the session what exported operations have.
func (s *Session) openJSON(raw []byte) error {
	var list shared
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return broken(plainJSON(err).Error())
	}
	if list.Version != sharedVersion {
		return broken(fmt.Sprintf("it is of version %d, and this page reads version %d", list.Version, sharedVersion))
	}
	if list.At < 1 || list.At > len(list.Ops) {
		return broken(fmt.Sprintf("it is at operation %d of %d", list.At, len(list.Ops)))
	}
	if err := s.run(list.Ops, list.At); err != nil {
		return broken(err.Error())
	}
	return nil
}

type runArgs struct {
	Ops []json.RawMessage `json:"ops"`
}

// runAll makes the session a list of operations, all of them in force.
func (s *Session) runAll(raws []json.RawMessage) error {
	if s.slow != nil {
		return errSlow
	}
	return s.run(raws, len(raws))
}

// run makes the session a list of operations, so many of them in force.
func (s *Session) run(raws []json.RawMessage, at int) error {
	if len(raws) > maxOps {
		return fmt.Errorf("ops: %s operations are too many: at most %s", thousands(len(raws)), thousands(maxOps))
	}
	if len(raws) == 0 {
		return errors.New("ops: want one at least, the first of them setup")
	}
	var ops []*Op
	for i, raw := range raws {
		op, err := parseOp(raw)
		if err != nil {
			return fmt.Errorf("ops[%d]: %w", i, err)
		}
		if (i == 0) != (op.Do == "setup") {
			return fmt.Errorf("ops[%d]: %s: the first operation is setup, and no other is", i, op.Do)
		}
		ops = append(ops, op)
	}
	return s.begin(ops, at, nil)
}
