//go:build unix

package snapshot

import (
	"syscall"
	"time"
)

// processorTime returns how long the process has had a processor, all together.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
