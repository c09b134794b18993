// Package wallclock is the clock by which the library judges expiry. The driver of the shared tests moves it, to play a machine whose
// clock is wrong.
package wallclock

import (
	"sync/atomic"
	"time"
)

var offset atomic.Int64

// Now is the time of the machine, moved by the offset.
func Now() time.Time { return time.Now().Add(time.Duration(offset.Load())) }

// SetOffset moves Now for the whole process.
func SetOffset(by time.Duration) { offset.Store(int64(by)) }
