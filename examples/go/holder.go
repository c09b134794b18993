package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	nexusv1 "nexus.example/agent/gen/nexus/v1"
)

const (
	bookmarkInterval = 30 * time.Second     // the daemon's own default
	silenceLimit     = 3 * bookmarkInterval // a stream that carried nothing for so long is dead
	firstDelay       = 100 * time.Millisecond
	longestDelay     = 10 * time.Second
)

// permanent codes are not fixed by another attempt.
var permanent = []codes.Code{codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented}

// holder has the newest token of each connection, kept up to date by watch.
type holder struct {
	mu       sync.Mutex
	states   map[string]*nexusv1.TokenState
	position *nexusv1.Position
	named    map[string]bool // what a snapshot has named so far; nil outside of one
}

// token is what to use now, also while the daemon is away: nil once it has expired, or when there is none.
func (h *holder) token(connectionID string) *nexusv1.Token {
	h.mu.Lock()
	defer h.mu.Unlock()
	token := h.states[connectionID].GetToken()
	if expiresAt := token.GetExpiresAt(); expiresAt != nil && !time.Now().Before(expiresAt.AsTime()) {
		return nil
	}
	return token
}

// watch reads streams one after the other, each resumed where the one before ended. It returns when ctx ends, or with
// an error that another attempt will not fix.
func (h *holder) watch(
	ctx context.Context, tokens nexusv1.TokenServiceClient, connectionIDs []string,
	onMessage func(*nexusv1.WatchTokensResponse),
) error {
	for failures := 0; ; failures++ {
		var drain *durationpb.Duration
		err := h.watchOnce(ctx, tokens, connectionIDs, func(message *nexusv1.WatchTokensResponse) {
			failures = 0
			h.take(message)
			if goodbye := message.GetDrain(); goodbye != nil {
				drain = goodbye.GetReconnectDelay()
			}
			onMessage(message)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if slices.Contains(permanent, status.Code(err)) {
			return err
		}
		fmt.Printf("the stream ended: %v\n", err)
		delay := rand.N(min(longestDelay, firstDelay<<min(failures, 10)))
		if drain != nil {
			delay = drain.AsDuration()
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// watchOnce reads one stream to its end, or until it has been silent for too long.
func (h *holder) watchOnce(
	ctx context.Context, tokens nexusv1.TokenServiceClient, connectionIDs []string,
	onMessage func(*nexusv1.WatchTokensResponse),
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(silenceLimit, cancel)
	defer silence.Stop()

	stream, err := tokens.WatchTokens(ctx, &nexusv1.WatchTokensRequest{
		ConnectionIds:    connectionIDs,
		Position:         h.resume(),
		BookmarkInterval: durationpb.New(bookmarkInterval),
	}, grpc.WaitForReady(true))
	for err == nil {
		var message *nexusv1.WatchTokensResponse
		if message, err = stream.Recv(); err == nil {
			silence.Reset(silenceLimit)
			onMessage(message)
		}
	}
	if errors.Is(err, io.EOF) {
		return errors.New("by the daemon")
	}
	return err
}

// resume is where the next stream begins: nil for a snapshot.
func (h *holder) resume() *nexusv1.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.named = nil
	if h.position == nil {
		h.named = map[string]bool{}
	}
	return h.position
}

func (h *holder) take(message *nexusv1.WatchTokensResponse) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch event := message.GetEvent().(type) {
	case *nexusv1.WatchTokensResponse_State:
		h.states[event.State.GetConnectionId()] = event.State
		if h.named != nil {
			h.named[event.State.GetConnectionId()] = true
		}
	case *nexusv1.WatchTokensResponse_Removed:
		delete(h.states, event.Removed.GetConnectionId())
	case *nexusv1.WatchTokensResponse_Reset_:
		h.position, h.named = nil, map[string]bool{}
	case *nexusv1.WatchTokensResponse_Bookmark:
		if h.named != nil { // the snapshot is complete: what it did not name is gone
			for id := range h.states {
				if !h.named[id] {
					delete(h.states, id)
				}
			}
		}
		h.position, h.named = event.Bookmark.GetPosition(), nil
	}
}
