package fake

import (
	"errors"
	"net/netip"
	"strconv"

	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"

	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// Details returns why the allocator refused an operation of the interface, as data:
// the code, and the address, block, pool, host, handle, expected and actual value that
// it concerns. It is nil for an error that is no refusal, such as one of a hook, of a
// context or of an accessor. The caller owns it.
//
// Of Calico's own types and values it tells what these tell: of [ipam.ErrBlockLimit],
// say, only the code.
func Details(err error) *sim.Error {
	var (
		exists   cerrors.ErrorResourceAlreadyExists
		missing  cerrors.ErrorResourceDoesNotExist
		conflict cerrors.ErrorResourceUpdateConflict
	)
	if e := refusal(err); e != nil {
		c := *e
		return &c
	}
	switch {
	case errors.As(err, &exists):
		return Details(exists.Err)
	case errors.As(err, &missing):
		if e := Details(missing.Err); e != nil {
			return e
		}
		return about(codes.DoesNotExist, missing.Identifier)
	case errors.As(err, &conflict):
		e := about(codes.Conflict, conflict.Identifier)
		switch why := conflict.Err.(type) {
		case cerrors.ErrorBadHandle:
			e.Code, e.Want, e.Got = codes.BadHandle, why.Requested, why.Expected
		case cerrors.ErrorBadSequenceNumber:
			e.Code = codes.BadSequenceNumber
			e.Want, e.Got = strconv.FormatUint(why.Requested, 10), strconv.FormatUint(why.Expected, 10)
		}
		return e
	}
	for value, code := range map[error]codes.Code{
		ipam.ErrUseRequired: codes.UseRequired, ipam.ErrStrictAffinity: codes.StrictAffinityRequired,
		ipam.ErrNoQualifiedPool: codes.NoQualifiedPool, ipam.ErrBlockLimit: codes.BlockLimit,
	} {
		if errors.Is(err, value) {
			return &sim.Error{Code: code}
		}
	}
	return nil
}

// about returns a refusal that concerns what Calico's error identifies.
func about(code codes.Code, identifier any) *sim.Error {
	e := &sim.Error{Code: code}
	switch of := identifier.(type) {
	case string:
		e.Address, _ = netip.ParseAddr(of)
	case model.BlockKey:
		e.Block = prefixOf(of.CIDR.IPNet)
	case model.IPAMHandleKey:
		e.Handle = of.HandleID
	case model.ResourceKey:
		e.Host = of.Name
	}
	return e
}
