package nexus

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc/status"
)

// flights let all who ask for the same at the same time share one call. It goes on while one of them waits.
type flights struct {
	mu    sync.Mutex
	under map[string]*flight
}

type flight struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	token   *Token
	err     error
}

// share joins the call for r that is under way, or makes one.
func (f *flights) share(ctx context.Context, r *request, call func(context.Context) (*Token, error)) (*Token, error) {
	if ctx.Err() != nil {
		return nil, statusError(status.FromContextError(ctx.Err()).Err())
	}
	key := fmt.Sprintf("%q %q %t %d %q", r.name, r.scopes, r.only, r.minTTL, r.returnURL)
	f.mu.Lock()
	one := f.under[key]
	if one == nil {
		one = &flight{done: make(chan struct{})}
		shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
		one.cancel = cancel
		if f.under == nil {
			f.under = map[string]*flight{}
		}
		f.under[key] = one
		go func() {
			defer cancel()
			one.token, one.err = call(shared)
			f.leave(key, one, true)
			close(one.done)
		}()
	}
	one.waiting++
	f.mu.Unlock()
	select {
	case <-one.done:
		return one.token, one.err
	case <-ctx.Done():
		f.leave(key, one, false)
		return nil, statusError(status.FromContextError(ctx.Err()).Err())
	}
}

// leave takes a flight away when it has landed, and cancels it when nobody waits any more.
func (f *flights) leave(key string, one *flight, hasLanded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !hasLanded {
		one.waiting--
	}
	if hasLanded || one.waiting == 0 {
		one.cancel()
		if f.under[key] == one {
			delete(f.under, key)
		}
	}
}
