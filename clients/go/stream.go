package nexus

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

const (
	firstDelay   = 100 * time.Millisecond
	longestDelay = 10 * time.Second
	// dialDelay is where grpc-go begins to back off by itself: a stream that makes one attempt waits no longer for it.
	dialDelay = time.Second
	// silentIntervals of bookmarks without a message: the stream is dead.
	silentIntervals = 3
)

// reconnect is rules 1, 2 and 5 of WatchTokens: when to connect again.
type reconnect struct {
	// failures counts the attempts since the last message.
	failures int
	drain    *nexusv1.Drain
}

func (r *reconnect) message(message *nexusv1.WatchTokensResponse) {
	r.failures = 0
	r.drain = message.GetDrain()
}

// after answers how long to wait after a stream ended with err; false when another attempt gets the same answer.
func (r *reconnect) after(err error) (time.Duration, bool) {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return 0, false
	}
	drain := r.drain
	r.drain = nil
	if drain != nil {
		return drain.GetReconnectDelay().AsDuration(), true
	}
	delay := fullJitter(r.failures)
	r.failures++
	return delay, true
}

// fullJitter is a random time below 100 ms * 2^n, and below 10 s.
func fullJitter(n int) time.Duration {
	return rand.N(min(longestDelay, firstDelay<<min(n, 10)))
}

// read reads one stream to its end, or until it has been silent for too long (rule 6). The error is never nil.
func (c *Client) read(ctx context.Context, request *nexusv1.WatchTokensRequest, take func(*nexusv1.WatchTokensResponse)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := silentIntervals * request.GetBookmarkInterval().AsDuration()
	timer := time.AfterFunc(silence, cancel)
	defer timer.Stop()
	if err := c.connected(ctx, dialDelay, dialDelay); err != nil {
		return err
	}
	stream, err := c.tokens.WatchTokens(ctx, request)
	for err == nil {
		var message *nexusv1.WatchTokensResponse
		if message, err = stream.Recv(); err == nil {
			timer.Reset(silence)
			take(message)
		}
	}
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Unavailable, "the daemon ended the stream")
	}
	return err
}

// cursor is rule 3: where the next stream begins, and what a snapshot named.
type cursor struct {
	position *nexusv1.Position
	named    map[string]bool // nil outside of a snapshot
}

// begin answers the position to open a stream with; nil asks for a snapshot.
func (c *cursor) begin() *nexusv1.Position {
	c.named = nil
	if c.position == nil {
		c.named = map[string]bool{}
	}
	return c.position
}

// take follows a message; after a bookmark that ends a snapshot it answers what that named.
func (c *cursor) take(message *nexusv1.WatchTokensResponse) (named map[string]bool) {
	switch event := message.GetEvent().(type) {
	case *nexusv1.WatchTokensResponse_State:
		if c.named != nil {
			c.named[event.State.GetConnectionId()] = true
		}
	case *nexusv1.WatchTokensResponse_Reset_:
		c.position, c.named = nil, map[string]bool{}
	case *nexusv1.WatchTokensResponse_Bookmark:
		named = c.named
		c.position, c.named = event.Bookmark.GetPosition(), nil
	}
	return named
}
