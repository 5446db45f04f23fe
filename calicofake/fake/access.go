package fake

import (
	"context"
	"errors"
	"strings"

	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// access is the way of one operation to the datastore: it honours the context,
// calls the hook, and tells watchers of what was written.
type access struct {
	fake *Fake
	ctx  context.Context // nil for an edit from outside, which no hook sees
	// failure is why the datastore did not answer.
	failure error
	// looked is set once the operation has looked at a block or a claim.
	looked bool
}

// Do carries out a request. The fake is locked.
func (a *access) Do(r protocol.Request) protocol.Response {
	if a.ctx != nil {
		key := string(r.Key)
		a.looked = a.looked || r.Key == protocol.BlocksKey || strings.HasPrefix(key, "block/") || strings.HasPrefix(key, "affinity/")
		if err := a.before(Call{r.Verb, r.Key}); err != nil {
			return protocol.Response{Result: a.resultOf(err)}
		}
	}
	return a.fake.write(r)
}

// before returns why the call is not made.
func (a *access) before(c Call) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	f := a.fake
	f.hooks.mu.Lock()
	hook := f.hooks.beforeCall
	f.hooks.mu.Unlock()
	if hook == nil {
		return nil
	}
	f.mu.Unlock() // the hook may be another client
	defer f.mu.Lock()
	return hook(a.ctx, c)
}

// resultOf returns what an error of the hook stands for.
func (a *access) resultOf(err error) protocol.Result {
	var (
		conflict cerrors.ErrorResourceUpdateConflict
		missing  cerrors.ErrorResourceDoesNotExist
		exists   cerrors.ErrorResourceAlreadyExists
	)
	switch {
	case errors.As(err, &conflict):
		return protocol.Conflict
	case errors.As(err, &missing):
		return protocol.Missing
	case errors.As(err, &exists):
		return protocol.Exists
	}
	a.failure = err
	return protocol.Failed
}
