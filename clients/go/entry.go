package nexus

import (
	"slices"
	"strings"
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

// entry is what is known of one name. The mutex of the cache guards it.
type entry struct {
	active  map[string]*activeState // by id of the connection
	answer  *Token                  // of AcquireToken, until the stream has caught up
	until   time.Time               // when the answer has to be asked for again
	came    time.Time               // when it came
	reports uint64                  // counts what the stream reported, to recognize an answer that it overtook
	// accepted are the scopes that AcquireToken was asked for when it returned a token with the granted ones.
	granted, accepted []string
	changed           chan struct{} // closed at the next change
}

// activeState is the newest state of a connection that is ACTIVE.
type activeState struct {
	id       string
	created  time.Time
	revision uint64
	token    *Token // nil when there is none
}

func newEntry() *entry {
	return &entry{active: map[string]*activeState{}, changed: make(chan struct{})}
}

// token is the current one, and whether the stream reported it.
func (e *entry) token() (token *Token, isReported bool) {
	if e.answer != nil && time.Now().Before(e.until) {
		return e.answer, false
	}
	if first := e.first(); first != nil {
		return first.token, true
	}
	return nil, false
}

// first is the connection that the name names, if one is ACTIVE: see nexus.v1.ConnectionName.
func (e *entry) first() *activeState {
	var found *activeState
	for _, each := range e.active {
		if found == nil || each.created.Before(found.created) || each.created.Equal(found.created) && each.id < found.id {
			found = each
		}
	}
	return found
}

func (e *entry) hold(answer *Token) {
	e.came = time.Now()
	e.answer, e.until = answer, e.came.Add(answerLife)
	e.tell()
}

// accept notes that the daemon gave the token to who asked for the scopes.
func (e *entry) accept(token *Token, scopes []string) {
	if !sameSet(e.granted, token.Scopes) {
		e.granted, e.accepted = token.Scopes, nil
	}
	for _, scope := range scopes {
		if !slices.Contains(e.accepted, scope) {
			e.accepted = append(e.accepted, scope)
		}
	}
}

// state takes the state of a connection of the name.
func (e *entry) state(state *nexusv1.TokenState) {
	id, before := state.GetConnectionId(), e.first()
	if state.GetStatus() == nexusv1.ConnectionStatus_CONNECTION_STATUS_ACTIVE {
		e.active[id] = &activeState{id, state.GetCreatedAt().AsTime(), state.GetRevision(), TokenOf(state.GetToken())}
		if before == nil || before.id != id { // else the revisions show whether it is newer than an answer
			e.reports++
		}
	} else {
		delete(e.active, id)
		if state.GetStatus() != nexusv1.ConnectionStatus_CONNECTION_STATUS_PENDING { // which takes nothing away
			e.reports++
		}
	}
	reported := state.GetRevision()
	if first := e.first(); first != nil {
		reported = first.revision
	}
	if e.answer != nil && e.answer.Revision <= reported {
		e.answer = nil
	}
	e.tell()
}

// removed takes a connection of the name away.
func (e *entry) removed(id string) {
	delete(e.active, id)
	e.answer = nil
	e.reports++
	e.tell()
}

func (e *entry) tell() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// has tells whether the token has the scopes.
func (e *entry) has(token *Token, scopes []string) bool {
	for _, scope := range scopes {
		isAccepted := slices.Contains(e.accepted, scope) && sameSet(e.granted, token.Scopes)
		if !isAccepted && !slices.Contains(token.Scopes, scope) {
			return false
		}
	}
	return true
}

func sameSet(a, b []string) bool {
	set := func(of []string) []string { return slices.Compact(slices.Sorted(slices.Values(of))) }
	return slices.Equal(set(a), set(b))
}
