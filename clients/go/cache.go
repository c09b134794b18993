package nexus

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nexusd/nexusd/clients/go/internal/wallclock"
	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

const (
	// maxNames is how many a stream of WatchTokens may name.
	maxNames = 1000
	// answerLife is how long a token is used that no stream confirms.
	answerLife = 20 * time.Second
)

// cache has the current token of each name; "The cache" in test/clients/PROTOCOL.md has the rules.
type cache struct {
	mu      sync.Mutex
	entries map[name]*entry
	byID    map[string]*entry
	isLive  bool // a stream lives that told all there was
}

func newCache() *cache {
	return &cache{entries: map[name]*entry{}, byID: map[string]*entry{}}
}

// hit answers the token that r asks for; nil when the daemon must be asked.
func (c *cache) hit(r *request) *Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[r.name]
	if e == nil {
		return nil
	}
	token, isReported := e.token()
	if token == nil || !e.has(token, r.scopes) {
		return nil
	}
	if token.ExpiresAt.IsZero() || isReported && c.isLive && r.minTTL == 0 {
		return token
	}
	if left := token.ExpiresAt.Sub(wallclock.Now()); left <= 0 || left < r.minTTL {
		return nil
	}
	return token
}

// reports must be remembered when AcquireToken is called, for answered.
func (c *cache) reports(n name) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[n]; e != nil {
		return e.reports
	}
	return 0
}

// expects makes an entry for the name, where there is room, and tells whether it is a new one.
func (c *cache) expects(n name) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[n] != nil || len(c.entries) >= maxNames {
		return false
	}
	c.entries[n] = newEntry()
	return true
}

// answered takes a token of AcquireToken. reports is what the method of that name answered before the call.
func (c *cache) answered(n name, token *Token, scopes []string, reports uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[n]
	if e == nil {
		return
	}
	e.accept(token, scopes)
	first := e.first()
	if e.reports == reports && (first == nil || first.revision < token.Revision) {
		e.hold(token)
	}
}

// lacks: an API says that the token lacks the scopes. Who asks for one of them gets a link.
func (c *cache) lacks(n name, scopes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[n]; e != nil {
		e.accepted = slices.DeleteFunc(e.accepted, func(scope string) bool { return slices.Contains(scopes, scope) })
	}
}

// atLeast answers the token that the entry has from the revision on, and otherwise a channel that closes when it changes; both nil when
// no stream will tell.
func (c *cache) atLeast(n name, revision uint64) (*Token, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[n]
	if e == nil {
		return nil, nil
	}
	if token, _ := e.token(); token != nil && token.Revision >= revision {
		return token, nil
	}
	if !c.isLive {
		return nil, nil
	}
	return nil, e.changed
}

// names are those that a stream is opened for.
func (c *cache) names() []name {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.entries))
}

// state takes the state of a connection.
func (c *cache) state(state *nexusv1.TokenState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := state.GetConnectionId()
	e := c.entries[newName(state.GetProviderName(), state.GetUserId(), state.GetLabel())]
	if c.byID[id] != e { // its provider was renamed
		c.forget(id)
	}
	if e != nil {
		c.byID[id] = e
		e.state(state)
	}
}

// removed takes a connection away.
func (c *cache) removed(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(id)
}

func (c *cache) forget(id string) {
	if e := c.byID[id]; e != nil {
		delete(c.byID, id)
		e.removed(id)
	}
}

// complete takes a bookmark: all has been told. After a snapshot that was asked for at opened, named holds the ids that it named, and else
// nil.
func (c *cache) complete(named map[string]bool, opened time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isLive = true
	if named == nil {
		return
	}
	for id := range c.byID {
		if !named[id] {
			c.forget(id)
		}
	}
	for _, e := range c.entries {
		if e.came.Before(opened) {
			e.answer = nil
		}
	}
}

// broken: no stream lives any more.
func (c *cache) broken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isLive = false
}

// refused: a stream is, for good. When no other lives, nobody will tell what becomes of the tokens.
func (c *cache) refused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isLive {
		return
	}
	for id := range c.byID {
		c.forget(id)
	}
	for _, e := range c.entries {
		e.answer = nil
	}
}
