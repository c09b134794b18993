package nexus

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

const (
	// gatherTime lets names that are asked for together share a stream.
	gatherTime = 100 * time.Millisecond
	// bookmarkInterval of the stream behind the cache: a dead stream is noticed after three.
	bookmarkInterval = 10 * time.Second
	// refusedTime keeps a stream that was refused for good from being asked for again and again.
	refusedTime = time.Minute
)

// watcher keeps the cache current by one stream of WatchTokens.
type watcher struct {
	client *Client
	cache  *cache
	// news is sent when there are new names.
	news chan struct{}
	// isRefused: the stream gets the same answer until a person changes the key, the policy or the daemon.
	isRefused atomic.Bool
	start     sync.Once
	done      chan struct{} // closed when run has ended; never when it was not started
}

func newWatcher(client *Client, cache *cache) *watcher {
	return &watcher{client: client, cache: cache, news: make(chan struct{}, 1), done: make(chan struct{})}
}

// named is called when the cache has a new name.
func (w *watcher) named(ctx context.Context) {
	w.start.Do(func() { go w.run(ctx) })
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// running is a stream that is read by a goroutine of its own.
type running struct {
	names  []name
	cancel context.CancelFunc
	cursor cursor
	opened time.Time
}

type happening struct {
	stream  *running
	message *nexusv1.WatchTokensResponse
	err     error // instead of a message: the end
}

// run opens a stream for all names, another one when there are new names, and one again when it ends. The old stream goes on until the
// new one has its first message.
func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	defer w.cache.broken()
	events := make(chan happening)
	var current, next *running
	var again reconnect
	var retry, gather <-chan time.Time
	var refusedUntil time.Time
	isWider := false // there are names that current does not carry
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.news:
			if gather == nil {
				gather = time.After(max(gatherTime, time.Until(refusedUntil)))
			}
		case <-gather:
			gather, retry, isWider = nil, nil, true
			w.isRefused.Store(false)
			if next != nil {
				next.cancel()
			}
			// What a new name had before is not in what changed since a position: a snapshot tells.
			next = w.open(ctx, events, w.cache.names(), nil)
		case <-retry:
			retry = nil
			if isWider || current == nil {
				next = w.open(ctx, events, w.cache.names(), nil)
			} else {
				next = w.open(ctx, events, current.names, current.cursor.position)
			}
		case event := <-events:
			stream := event.stream
			if stream != current && stream != next {
				continue // it was given up
			}
			if event.err == nil {
				if stream == next {
					if current != nil {
						current.cancel()
					}
					current, next, isWider = next, nil, false
				}
				again.message(event.message)
				w.take(stream, event.message)
				continue
			}
			stream.cancel()
			if stream == next {
				next = nil
			} else {
				w.cache.broken()
				if next != nil {
					continue
				}
			}
			delay, isWorthwhile := again.after(event.err)
			if isWorthwhile {
				retry = time.After(delay)
			} else {
				refusedUntil = time.Now().Add(refusedTime)
				w.isRefused.Store(true)
				w.cache.refused()
			}
		}
	}
}

// open reads a stream into events until it ends or is given up.
func (w *watcher) open(ctx context.Context, events chan<- happening, names []name, position *nexusv1.Position) *running {
	ctx, cancel := context.WithCancel(ctx)
	stream := &running{names: names, cancel: cancel, cursor: cursor{position: position}, opened: time.Now()}
	request := &nexusv1.WatchTokensRequest{
		Position:         stream.cursor.begin(),
		BookmarkInterval: durationpb.New(bookmarkInterval),
	}
	for _, n := range names {
		request.Names = append(request.Names, n.message())
	}
	send := func(event happening) {
		select {
		case events <- event:
		case <-ctx.Done():
		}
	}
	go func() {
		err := w.client.read(ctx, request, func(message *nexusv1.WatchTokensResponse) {
			send(happening{stream: stream, message: message})
		})
		send(happening{stream: stream, err: err})
	}()
	return stream
}

func (w *watcher) take(stream *running, message *nexusv1.WatchTokensResponse) {
	named := stream.cursor.take(message)
	switch event := message.GetEvent().(type) {
	case *nexusv1.WatchTokensResponse_State:
		w.cache.state(event.State)
	case *nexusv1.WatchTokensResponse_Removed:
		w.cache.removed(event.Removed.GetConnectionId())
	case *nexusv1.WatchTokensResponse_Bookmark:
		w.cache.complete(named, stream.opened)
	}
}
