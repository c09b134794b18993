package nexus

import (
	"net/http"
	"strings"
	"sync"
)

// maxOrigins are remembered: a transport calls one API, or a few.
const maxOrigins = 100

// nonces are those that APIs asked for last, by their origin (RFC 9449 section 9).
type nonces struct {
	mu       sync.Mutex
	byOrigin map[string]string
}

func (n *nonces) of(origin string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byOrigin[origin]
}

// answered tells whether the API wants another nonce than the request had: then the request may be sent once more.
func (n *nonces) answered(origin string, response *http.Response) bool {
	nonce := response.Header.Get("DPoP-Nonce")
	if nonce == "" {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	isAnother := n.byOrigin[origin] != nonce
	if n.byOrigin == nil || len(n.byOrigin) >= maxOrigins {
		n.byOrigin = map[string]string{}
	}
	n.byOrigin[origin] = nonce
	return isAnother && response.StatusCode == http.StatusUnauthorized && strings.Contains(challenges(response), "use_dpop_nonce")
}
