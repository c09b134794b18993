package nexus

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nexusd/nexusd/clients/go/internal/wallclock"
	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

const (
	// maxNames is how many a stream of WatchTokens may name.
	maxNames = 1000
	// idleTime is how long a name was not asked for before another may have its place.
	idleTime = time.Minute
	// freshTime is longer than a new name waits for its stream.
	freshTime = 2 * time.Second
)

// cache has the newest token of each name. A hit takes no lock: the map is copied when a name comes or goes.
type cache struct {
	entries atomic.Pointer[map[name]*entry]
	// isLive: the stream said all that there was, and has not ended. Then what it said last is the truth, and no clock is asked.
	isLive atomic.Bool

	mu   sync.Mutex
	byID map[string]*entry
	tick uint64
}

func newCache() *cache {
	c := &cache{byID: map[string]*entry{}}
	c.entries.Store(&map[name]*entry{})
	return c
}

// hit answers the token that r asks for; nil when the daemon must be asked.
func (c *cache) hit(r *request) *Token {
	e := (*c.entries.Load())[r.name]
	if e == nil || e.skipOnce.Load() {
		return nil
	}
	current := e.current.Load()
	if current == nil || len(r.scopes) > 0 && !current.meets(r.scopes) {
		return nil
	}
	now := wallclock.Now()
	if !c.isUsable(e, current, now) {
		return nil
	}
	if expiresAt := current.token.ExpiresAt; r.minTTL > 0 && !expiresAt.IsZero() && expiresAt.Sub(now) < r.minTTL {
		return nil
	}
	if second := now.Unix(); e.lastUsed.Load() != second {
		e.lastUsed.Store(second)
	}
	return current.token
}

func (c *cache) isUsable(e *entry, current *held, now time.Time) bool {
	expiresAt := current.token.ExpiresAt
	return expiresAt.IsZero() || now.Before(expiresAt) || c.isLive.Load() && e.isCovered.Load() || time.Now().Before(current.freshUntil)
}

// question is what must be remembered before AcquireToken is called, to judge its answer.
type question struct {
	entry   *entry
	before  *held
	version uint64
}

// ask is called before AcquireToken is.
func (c *cache) ask(n name) question {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := (*c.entries.Load())[n]
	if e == nil {
		return question{}
	}
	e.lastUsed.Store(wallclock.Now().Unix())
	return question{e, e.current.Load(), e.version}
}

// answered takes a token that AcquireToken answered, and tells which to give to the caller and whether the name is a new one.
// What the stream said meanwhile counts when it knows a later revision, or none at all.
func (c *cache) answered(n name, q question, scopes []string, token *Token) (*Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, isNew := c.entryOf(n)
	if e == nil {
		return token, false
	}
	current := e.current.Load()
	if q.entry == e && q.version != e.version && current != q.before {
		if current == nil {
			return token, isNew
		}
		if current.token.Revision >= token.Revision {
			return current.token, isNew
		}
	}
	next := &held{token: token, accepted: scopes, tick: c.tick, freshUntil: time.Now().Add(freshTime)}
	for _, state := range e.best() {
		if next.isOf(state) {
			next.id = state.GetConnectionId()
		}
	}
	if current != nil && current.token.Revision == token.Revision && maps.Equal(current.token.Credentials, token.Credentials) {
		next.accepted = union(current.accepted, scopes)
	}
	e.hold(next)
	return token, isNew
}

// expects makes sure that the stream tells of the name, and answers whether it is a new one.
func (c *cache) expects(n name) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, isNew := c.entryOf(n)
	return isNew
}

// entryOf finds or makes the entry; nil when all places are taken by names in use.
func (c *cache) entryOf(n name) (*entry, bool) {
	entries := *c.entries.Load()
	if e := entries[n]; e != nil {
		return e, false
	}
	next := maps.Clone(entries)
	if len(next) >= maxNames {
		oldest := slices.MinFunc(slices.Collect(maps.Values(next)), func(a, b *entry) int {
			return int(a.lastUsed.Load() - b.lastUsed.Load())
		})
		if wallclock.Now().Sub(time.Unix(oldest.lastUsed.Load(), 0)) < idleTime {
			return nil, false
		}
		delete(next, oldest.name)
		for id := range oldest.states {
			delete(c.byID, id)
		}
	}
	e := newEntry(n)
	e.lastUsed.Store(wallclock.Now().Unix())
	next[n] = e
	c.entries.Store(&next)
	return e, true
}

// skipOnce makes the next call of the name ask the daemon.
func (c *cache) skipOnce(n name) {
	if e := (*c.entries.Load())[n]; e != nil {
		e.skipOnce.Store(true)
	}
}

// asked ends skipOnce.
func (c *cache) asked(n name) {
	if e := (*c.entries.Load())[n]; e != nil {
		e.skipOnce.Store(false)
	}
}

// atLeast answers the token that the entry has from the revision on, and otherwise a channel that closes when it changes; both nil when
// no stream will tell.
func (c *cache) atLeast(n name, revision uint64) (*Token, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := (*c.entries.Load())[n]
	if e == nil {
		return nil, nil
	}
	if current := e.current.Load(); current != nil && current.token.Revision >= revision {
		return current.token, nil
	}
	if !c.isLive.Load() || !e.isCovered.Load() {
		return nil, nil
	}
	return nil, e.changed
}

// names are those that a stream is opened for.
func (c *cache) names() []name {
	return slices.Collect(maps.Keys(*c.entries.Load()))
}

// state takes the state of a connection. While a snapshot is under way it may be one of several of its name: only what is known of the
// connection that is held counts before the end.
func (c *cache) state(state *nexusv1.TokenState, isSnapshot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := state.GetConnectionId()
	e := (*c.entries.Load())[newName(state.GetProviderName(), state.GetUserId(), state.GetLabel())]
	if known := c.byID[id]; known != nil && known != e { // its provider was renamed
		c.forget(id, isSnapshot)
	}
	if e == nil {
		return
	}
	c.byID[id] = e
	e.states[id] = state
	e.version++
	if current := e.current.Load(); !isSnapshot || current != nil && current.id == id {
		e.settle(false)
	}
}

// removed takes a connection away.
func (c *cache) removed(id string, isSnapshot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(id, isSnapshot)
}

func (c *cache) forget(id string, isSnapshot bool) {
	e := c.byID[id]
	if e == nil {
		return
	}
	delete(c.byID, id)
	delete(e.states, id)
	e.version++
	if current := e.current.Load(); !isSnapshot || current != nil && current.id == id {
		e.settle(false)
	}
}

// opened is called before a stream is; the answer goes to complete.
func (c *cache) opened() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	return c.tick
}

// complete takes a bookmark of a stream of these names: all has been told that there was at the tick. After a snapshot named holds the
// ids that it named, and else nil. The answer goes to the next bookmark.
func (c *cache) complete(names []name, tick uint64, named map[string]bool) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if named != nil {
		for id := range c.byID {
			if !named[id] {
				c.forget(id, false)
			}
		}
	}
	entries := *c.entries.Load()
	for _, n := range names {
		e := entries[n]
		if e == nil {
			continue
		}
		e.isCovered.Store(true)
		current := e.current.Load()
		isTold := current != nil && current.id == "" && current.tick < tick
		if isTold || named != nil {
			e.settle(isTold)
		}
	}
	c.isLive.Store(true)
	c.tick++
	return c.tick
}

// broken: no stream lives any more.
func (c *cache) broken() { c.isLive.Store(false) }

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, text := range b {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}
