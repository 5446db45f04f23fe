//go:build !unix

package snapshot

import "time"

var began = time.Now()

// processorTime is the time that passes, where the system does not say more.
func processorTime() time.Duration { return time.Since(began) }
