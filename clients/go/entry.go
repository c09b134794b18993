package nexus

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// name names a connection: nexus.v1.ConnectionName.
type name struct{ provider, user, label string }

// newName writes the provider as the daemon looks it up.
func newName(provider, user, label string) name {
	return name{strings.ToLower(strings.TrimSpace(provider)), user, label}
}

func (n name) message() *nexusv1.ConnectionName {
	return &nexusv1.ConnectionName{ProviderName: n.provider, UserId: n.user, Label: n.label}
}

// held is the token that an entry gives. It never changes: another takes its place.
type held struct {
	token *Token
	// id of the connection; empty for an answer of AcquireToken, which does not tell it, until a state shows the same token.
	id string
	// accepted scopes were asked for, and the daemon gave the token: providers grant scopes by other words than they were asked with.
	accepted []string
	// tick of the watcher when it was answered.
	tick uint64
	// freshUntil bridges the time until the stream tells of a new name, whatever the clocks say.
	freshUntil time.Time
}

// entry is what is known of one name. Reading current takes no lock; all else but the atomics is guarded by the cache.
type entry struct {
	name    name
	current atomic.Pointer[held]
	// isCovered: a stream that lives told the state of this name.
	isCovered atomic.Bool
	// skipOnce: an API wants other scopes, which the next AcquireToken asks for.
	skipOnce atomic.Bool
	lastUsed atomic.Int64 // Unix seconds

	states  map[string]*nexusv1.TokenState // by id of the connection
	version uint64                         // counts what the stream said
	changed chan struct{}                  // closed at the next change of current
}

func newEntry(n name) *entry {
	return &entry{name: n, states: map[string]*nexusv1.TokenState{}, changed: make(chan struct{})}
}

func (e *entry) hold(next *held) {
	if e.current.Swap(next) != next {
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

// settle takes the newest states for the truth. An answer of AcquireToken with a later revision than they know stays, because the stream
// tells of it yet; isFinal says that the stream has told all that it had when the token was answered.
func (e *entry) settle(isFinal bool) {
	current := e.current.Load()
	isOwn := current != nil && current.id == "" && !isFinal
	best := e.best()
	if len(best) == 0 {
		if !isOwn {
			e.hold(nil)
		}
		return
	}
	var state *nexusv1.TokenState
	if len(best) == 1 {
		state = best[0]
	} else if current != nil { // several connections have the name: the daemon's choice is the one that it answered with
		for _, candidate := range best {
			if candidate.GetConnectionId() == current.id || current.id == "" && current.isOf(candidate) {
				state = candidate
			}
		}
	}
	switch {
	case state == nil:
		if !isOwn {
			e.hold(nil)
		}
	case isOwn && current.token.Revision > state.GetRevision():
	case state.GetToken() == nil:
		e.hold(nil)
	case current != nil && current.isOf(state):
		if current.id == "" {
			e.hold(&held{token: current.token, id: state.GetConnectionId(), accepted: current.accepted})
		}
	default:
		next := &held{token: TokenOf(state.GetToken()), id: state.GetConnectionId()}
		if current != nil && (current.id == "" || current.id == next.id) && slices.Equal(current.token.Scopes, next.token.Scopes) {
			next.accepted = current.accepted
		}
		e.hold(next)
	}
}

// best are the states of which one is the name's: see nexus.v1.ConnectionName.
func (e *entry) best() []*nexusv1.TokenState {
	order := []nexusv1.ConnectionStatus{
		nexusv1.ConnectionStatus_CONNECTION_STATUS_ACTIVE,
		nexusv1.ConnectionStatus_CONNECTION_STATUS_ATTENTION,
		nexusv1.ConnectionStatus_CONNECTION_STATUS_PENDING,
	}
	for _, status := range order {
		var found []*nexusv1.TokenState
		for _, state := range e.states {
			if state.GetStatus() == status {
				found = append(found, state)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// isOf tells whether the state shows the same token.
func (h *held) isOf(state *nexusv1.TokenState) bool {
	token := state.GetToken()
	return token != nil && token.GetRevision() == h.token.Revision && maps.Equal(token.GetCredentials(), h.token.Credentials)
}

// meets tells whether the token has the scopes.
func (h *held) meets(scopes []string) bool {
	for _, scope := range scopes {
		if !slices.Contains(h.token.Scopes, scope) && !slices.Contains(h.accepted, scope) {
			return false
		}
	}
	return true
}
