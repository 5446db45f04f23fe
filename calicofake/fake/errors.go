package fake

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"

	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// Error is a refusal for which Calico's library exports no type: it has Calico's
// text. Refusals that have one are of Calico's type, such as
// cerrors.ErrorResourceAlreadyExists, or Calico's value, such as
// ipam.ErrBlockLimit. An error that Calico does not have is ipamsim's own.
//
// [errors.As] finds a *sim.Error with the details (package ipam of ipamsim) in it,
// and [errors.Is] tests for a code of package ipam/codes. Calico's types have nothing
// of the kind in them: [Details] returns the same of all.
type Error struct {
	text   string
	calico error // the exported value that Calico's error wraps; nil for none
	cause  *sim.Error
}

// Error returns Calico's text.
func (e *Error) Error() string { return e.text }

// Unwrap returns the value that Calico's error wraps, if it does, and the refusal of
// the allocator.
func (e *Error) Unwrap() []error {
	if e.calico == nil {
		return []error{e.cause}
	}
	return []error{e.calico, e.cause}
}

// refusal returns the allocator's refusal, nil if the error is none.
func refusal(err error) *sim.Error {
	var e *sim.Error
	if errors.As(err, &e) {
		return e
	}
	// Some are only codes.
	if code := codes.Of(err); err != nil && code != codes.Unknown {
		return &sim.Error{Code: code}
	}
	return nil
}

// say makes a refusal one with Calico's text.
func say(e *sim.Error, format string, args ...any) error {
	return &Error{text: fmt.Sprintf(format, args...), cause: e}
}

const (
	textRetries       = "Max retries hit - excessive concurrent IPAM requests"
	textHandleRetries = "Hit max retries"
)

// begun reports whether an AutoAssign with this error has got as far as the host's
// blocks, so that there is an answer.
func (a *access) begun(err error) bool {
	switch codes.Of(err) {
	case codes.UseRequired, codes.WrongFamily, codes.DoesNotExist, codes.BadHostReservation, codes.NoQualifiedPool,
		codes.PoolNotEnabled, codes.NoPoolsForNode, codes.StrictAffinityRequired, codes.InvalidArgument:
		return false
	case codes.Unknown: // the datastore did not answer
		return a.looked
	}
	return true
}

// autoAssignError returns the error of AutoAssign and EnsureBlock.
func autoAssignError(err error, args *sim.AutoAssignArgs) error {
	e := refusal(err)
	if e == nil {
		return err
	}
	switch e.Code {
	case codes.UseRequired:
		return ipam.ErrUseRequired
	case codes.StrictAffinityRequired:
		return ipam.ErrStrictAffinity
	case codes.DoesNotExist:
		key := nodeKey(args.Host)
		return failure(protocol.Missing, key, keyOf(key))
	case codes.WrongFamily:
		if e.Pool.Addr().Is4() {
			return say(e, "provided IPv6 IPPools list contains one or more IPv4 IPPools")
		}
		return say(e, "provided IPv4 IPPools list contains one or more IPv6 IPPools")
	case codes.BadHostReservation:
		return say(e, "HostReservedAttr has wrong parameters")
	case codes.PoolNotEnabled:
		return say(e, "the given pool (%s) does not exist, or is not enabled", e.Pool.Masked())
	case codes.NoPoolsForNode:
		return say(e, "no configured Calico pools for node %s", args.Host)
	case codes.NoQualifiedPool:
		if !strings.HasPrefix(e.Want, "/") {
			return noUse(e, args.Use)
		}
		return ipam.ErrNoQualifiedPool
	case codes.BlockLimit:
		return ipam.ErrBlockLimit
	case codes.NoBlock:
		return say(e, "failed to find or claim a block")
	case codes.NoFreeBlocks:
		return say(e, "No Free Blocks")
	case codes.MaxRetries:
		return say(e, textRetries)
	}
	return err
}

// noUse is the refusal where no pool allows the use.
func noUse(e *sim.Error, use pool.Use) error {
	return &Error{text: fmt.Sprintf("%v, no pools match the required use (%s)", ipam.ErrNoQualifiedPool, use), calico: ipam.ErrNoQualifiedPool, cause: e}
}

// messageOf returns a message of ipamsim in Calico's words.
func messageOf(msg string) string {
	if limit, ok := strings.CutPrefix(msg, "block-limit:"); ok {
		return fmt.Sprintf("Need to allocate an IPAM block but could not - limit of %s blocks reached for this node", limit)
	}
	if pools, ok := strings.CutPrefix(msg, "exhausted:"); ok {
		return fmt.Sprintf("No IPs available in pools: [%s]", strings.ReplaceAll(pools, ",", " "))
	}
	switch msg {
	case "strict-affinity":
		return "No more free affine blocks and strict affinity enabled"
	case "assign-failed":
		return "Failed to assign IPs in newly allocated block"
	}
	return msg
}

// assignIPError returns the error of AssignIP.
func assignIPError(err error, ip cnet.IP) error {
	e := refusal(err)
	if e == nil {
		return err
	}
	switch e.Code {
	case codes.NotInPool:
		return say(e, "The provided IP address is not in a configured pool\n")
	case codes.StrictAffinityRequired:
		return ipam.ErrStrictAffinity
	case codes.AffinityMismatch:
		if e.Got == "" {
			return say(e, "Attempt to assign from block %s with no affinity", e.Block)
		}
		return say(e, "Block host affinity does not match")
	case codes.AlreadyExists:
		return cerrors.ErrorResourceAlreadyExists{Err: say(e, "Address already assigned in block"), Identifier: ip.String()}
	case codes.BlockClaimConflict:
		return claimConflict(e)
	case codes.DoesNotExist:
		return missingBlock(e)
	case codes.MaxRetries:
		return say(e, textRetries)
	}
	return err
}

// claimConflict is the refusal where somebody else has claimed the block.
func claimConflict(e *sim.Error) error { return say(e, "%s already claimed by %s", e.Block, e.Got) }

// missingBlock is what a datastore says of a block that is not there.
func missingBlock(e *sim.Error) error {
	key := model.BlockKey{CIDR: netOf(e.Block)}
	return failure(protocol.Missing, key, keyOf(key))
}

// releaseError returns the error of ReleaseIPs.
func releaseError(err error) error {
	e := refusal(err)
	if e == nil {
		return err
	}
	switch e.Code {
	case codes.BadHandle:
		return cerrors.ErrorResourceUpdateConflict{
			Err: cerrors.ErrorBadHandle{Requested: e.Want, Expected: e.Got}, Identifier: e.Address.String(),
		}
	case codes.BadSequenceNumber:
		return cerrors.ErrorResourceUpdateConflict{
			Err: cerrors.ErrorBadSequenceNumber{Requested: number(e.Want), Expected: number(e.Got)}, Identifier: e.Address.String(),
		}
	case codes.StrictAffinityRequired:
		return ipam.ErrStrictAffinity
	case codes.MaxRetries:
		return say(e, textRetries)
	}
	return err
}

func number(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64) // it is one
	return n
}

// handleError returns the error of IPsByHandle and ReleaseByHandle.
func handleError(err error, handleID string) error {
	e := refusal(err)
	if e == nil {
		return err
	}
	switch e.Code {
	case codes.DoesNotExist:
		key := model.IPAMHandleKey{HandleID: handleID}
		return failure(protocol.Missing, key, keyOf(key))
	case codes.MaxRetries:
		return say(e, textHandleRetries)
	}
	return err
}

// attributesError returns the error of GetAssignmentAttributes.
func attributesError(err error, addr cnet.IP) error {
	e := refusal(err)
	if e == nil || e.Code != codes.DoesNotExist {
		return err
	}
	if e.Block.IsValid() {
		return missingBlock(e)
	}
	why := "IP is unassigned"
	if strings.Contains(e.Detail, codes.NotInPool.Error()) {
		why = "No valid IPPool"
	}
	return cerrors.ErrorResourceDoesNotExist{Err: say(e, "%s", why), Identifier: addr.String()}
}

// claimError returns the error of an operation on the claims on a CIDR.
func claimError(err error, cidr cnet.IPNet) error {
	e := refusal(err)
	if e == nil {
		return err
	}
	switch e.Code {
	case codes.NotInPool:
		return say(e, "The requested CIDR (%s) is not within any configured pools.", cidr.String())
	case codes.InvalidSize:
		return say(e, "The requested CIDR (%s) is smaller than the minimum.", cidr.String())
	case codes.BlockNotEmpty:
		return say(e, "block '%s' is not empty", e.Block)
	case codes.Conflict:
		key := model.BlockKey{CIDR: netOf(e.Block)}
		return failure(protocol.Conflict, key, keyOf(key))
	case codes.MaxRetries:
		return say(e, textRetries)
	}
	return err
}

// configError returns the error of SetIPAMConfig.
func configError(err error, cfg ipam.IPAMConfig) error {
	e := refusal(err)
	if e == nil || e.Code != codes.ConfigConflict {
		return err
	}
	if !cfg.StrictAffinity && !cfg.AutoAllocateBlocks {
		return say(e, "Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time")
	}
	return say(e, "MaxBlocksPerHost requires StrictAffinity to be enabled")
}
