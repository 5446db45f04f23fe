package protocol

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// Client is one process that works on the cluster. Its operations are those of
// [ipam.Allocator], with the same arguments, results and errors, as a sequence
// of requests (§15). [Cluster.Client] makes one. It is not safe for
// concurrent use, and neither are several clients of one cluster.
//
// An operation gives up with [codes.MaxRetries] after 100 conflicts;
// [Client.ReleaseBlockAffinity], which tries once, with [codes.Conflict] after the
// first. If a request fails the operation ends with [ErrUnavailable]. Its writes
// until then stay.
type Client struct {
	*Cluster
	access Access
	now    func() time.Time
}

// ErrUnavailable ends an operation whose request fails ([Failed]).
var ErrUnavailable = errors.New("protocol: the datastore did not answer")

// maxTries is the greatest number of tries (§15).
const maxTries = 100

// The failures of a request. They stay inside this package: callers of operations
// get ipam's errors or those above.
var (
	errExists   = errors.New("protocol: object exists")
	errMissing  = errors.New("protocol: object is missing")
	errConflict = errors.New("protocol: object was written since it was read")
)

// do makes one request.
func (c *Client) do(verb Verb, key Key, o Object) (Response, error) {
	r := c.access.Do(Request{verb, key, o})
	switch r.Result {
	case OK:
		return r, nil
	case Exists:
		return r, about(errExists, key)
	case Missing:
		return r, about(errMissing, key)
	case Conflict:
		return r, about(errConflict, key)
	}
	return r, about(ErrUnavailable, key)
}

// about wraps an error with its object. The text is made only when it is read: a
// missing object is a usual answer.
func about(err error, what any) error { return &aboutError{err, what} }

type aboutError struct {
	err  error
	what any
}

func (e *aboutError) Error() string { return fmt.Sprintf("%v: %v", e.err, e.what) }
func (e *aboutError) Unwrap() error { return e.err }

// outcome turns the failure of a request into the error of an operation.
func outcome(err error) error {
	switch {
	case errors.Is(err, errMissing):
		return &ipam.Error{Code: codes.DoesNotExist, Block: blockIn(err), Detail: err.Error()}
	case errors.Is(err, errConflict), errors.Is(err, errExists):
		return &ipam.Error{Code: codes.MaxRetries, Detail: err.Error()}
	}
	return err
}

// blockIn returns the CIDR of the block that a failure is about, if it is about one.
func blockIn(err error) (cidr netip.Prefix) {
	var e *aboutError
	if errors.As(err, &e) {
		if key, ok := e.what.(Key); ok {
			if text, ok := strings.CutPrefix(string(key), "block/"); ok {
				cidr, _ = netip.ParsePrefix(text)
			}
		}
	}
	return cidr
}

// retry tries until it meets no conflict, at most [maxTries] times.
func retry(try func() error) (err error) {
	for range maxTries {
		if err = try(); !errors.Is(err, errConflict) {
			break
		}
	}
	return err
}

// get reads an object.
func get[T Object](c *Client, key Key) (o T, err error) {
	r, err := c.do(Get, key, nil)
	if err != nil {
		return o, err
	}
	return r.Object.(T), nil
}

// write creates or updates an object, and sets its new revision, and a block's
// sequence number.
func (c *Client) write(verb Verb, o Object) error {
	r, err := c.do(verb, o.Key(), o)
	if err != nil {
		return err
	}
	o.Metadata().Revision = r.Object.Metadata().Revision
	if b, ok := o.(*Block); ok {
		b.Sequence = r.Object.(*Block).Sequence
	}
	return nil
}

func (c *Client) create(o Object) error { return c.write(Create, o) }
func (c *Client) update(o Object) error { return c.write(Update, o) }

func (c *Client) delete(o Object) error {
	_, err := c.do(Delete, o.Key(), o)
	return err
}

// list reads a list. The objects must not be changed.
func list[T Object](c *Client, key Key) ([]T, error) {
	r, err := c.do(List, key, nil)
	if err != nil {
		return nil, err
	}
	objects := make([]T, len(r.List))
	for i, o := range r.List {
		objects[i] = o.(T)
	}
	return objects, nil
}

// settings is the configuration that an operation has read, with values derived
// from it.
type settings struct {
	ipam.Config
	cooldown time.Duration
}

// settings reads the configuration. Reading never writes the default (§9).
func (c *Client) settings() (settings, error) {
	config := ipam.DefaultConfig()
	o, err := get[*Config](c, configKey)
	if err == nil {
		config = o.Config
	} else if !errors.Is(err, errMissing) {
		return settings{}, err
	}
	s := settings{Config: config}
	if c.rules.Cooldown {
		s.cooldown = time.Duration(config.IPCooldownSeconds) * time.Second
	}
	return s, nil
}

// settingsToRelease is settings for an operation that reads the configuration only
// for the cooldown: releases without one do not read it (§16).
func (c *Client) settingsToRelease() (settings, error) {
	if !c.rules.ReleaseReadsConfig {
		return settings{}, nil
	}
	return c.settings()
}

// settingsOn is settings for an operation of a client that runs on Windows, or
// not: [codes.StrictAffinityRequired] on Windows while affinity is not strict,
// for nothing can be borrowed there (§10).
func (c *Client) settingsOn(windows bool) (settings, error) {
	s, err := c.settings()
	if err == nil && windows && !s.StrictAffinity {
		err = &ipam.Error{Code: codes.StrictAffinityRequired, Detail: "affinity is not strict"}
	}
	return s, err
}

// getBlock reads a block and sees it as if collected.
func (c *Client) getBlock(cidr netip.Prefix, s settings) (*Block, error) {
	b, err := get[*Block](c, blockKey(cidr))
	if err != nil {
		return nil, err
	}
	b.collect(c.now(), s.cooldown)
	return b, nil
}

// getAffinity reads an owner's affinity to a block.
func (c *Client) getAffinity(owner affinity.Owner, cidr netip.Prefix) (*Affinity, error) {
	return get[*Affinity](c, affinityKey(owner, cidr))
}

// updateBlock writes a block back: its sequence number rises by one (§6).
func (c *Client) updateBlock(b *Block) error {
	b.Sequence++
	return c.update(b)
}

// updateState writes an affinity back with a new state.
func (c *Client) updateState(a *Affinity, state affinity.State) error {
	a.State = state
	return c.update(a)
}
