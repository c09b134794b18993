package nexus

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// Watch answers what the daemon tells of connections, for an agent that acts on each change: first the full state of each, then of each
// that changes, see WatchTokens of nexus.v1. Without ids it tells of all that the caller may see. It connects again by itself, and resumes
// at the last bookmark: a message may come twice, and of several changes of one connection the last one alone.
//
// The sequence ends with an error: that of ctx, or one that another attempt would get again. [Client.Token] needs no Watch.
func (c *Client) Watch(ctx context.Context, connectionIDs ...string) iter.Seq2[*nexusv1.WatchTokensResponse, error] {
	return func(yield func(*nexusv1.WatchTokensResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		var at cursor
		var again reconnect
		isWanted := true
		for {
			err := c.read(ctx, &nexusv1.WatchTokensRequest{
				ConnectionIds:    connectionIDs,
				Position:         at.begin(),
				BookmarkInterval: durationpb.New(bookmarkInterval),
			}, func(message *nexusv1.WatchTokensResponse) {
				again.message(message)
				at.take(message)
				if isWanted && !yield(message, nil) {
					isWanted = false
					cancel()
				}
			})
			if !isWanted {
				return
			}
			if ctx.Err() != nil {
				yield(nil, statusError(ctx.Err()))
				return
			}
			delay, isWorthwhile := again.after(err)
			if !isWorthwhile {
				yield(nil, statusError(err))
				return
			}
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
	}
}
