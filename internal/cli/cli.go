// Package cli is what the example programs share in talking to their users. It
// knows flags and no allocation.
package cli

import (
	"errors"
	"fmt"

	"github.com/ipamsim/ipamsim/pool"
)

// InFlags puts what is wrong with a pool, the first thing of several, in terms
// of the flags -pool and -block-size. Other errors come back as they are.
func InFlags(err error) error {
	var wrong *pool.InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	name := map[string]string{"cidr": "pool", "blockSize": "block-size"}[wrong.Field]
	if name == "" {
		return err
	}
	return fmt.Errorf("-%s %s: %s", name, wrong.Value, wrong.Reason)
}
