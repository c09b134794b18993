package nexus

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

const (
	// streamPatience is how long the next revision is awaited on the stream before it is asked for.
	streamPatience = time.Second
	// maxDrained bytes of a refused answer are read, so that its connection can be used again.
	maxDrained = 64 << 10
	// maxChallenge is the limit of ReportRejectedTokenRequest.www_authenticate.
	maxChallenge = 8 << 10
)

// Transport is an [http.RoundTripper] that puts the current credential into each request, whatever its strategy.
//
// When the API answers 401, or 403 with the error insufficient_scope (RFC 6750 section 3.1), it tells the daemon, waits for the next
// revision and sends the request once more, never twice; a request whose body has no GetBody is not sent again. When only a person can
// grant what the API wants, the request fails with [*ConsentRequired], and [Client.Acquire] with its Scopes waits for that. Other requests
// go on with the token that there is.
//
// A redirect to another origin is followed without the credential, and so is all that comes after it. A 401 that was reported to no avail is the caller's to read.
type Transport struct {
	// Base sends the requests; nil means [http.DefaultTransport].
	Base http.RoundTripper

	client  *Client
	request *request
	// nonces are the newest of each origin (RFC 9449 section 9).
	nonces nonces
}

// Transport makes a RoundTripper for the user at the provider. Requests fail with the errors of [Client.Token].
func (c *Client) Transport(provider, user string, options ...TokenOption) *Transport {
	return &Transport{client: c, request: newRequest(provider, user, options)}
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if leavesOrigin(request) {
		return base.RoundTrip(request)
	}
	token, err := t.client.token(request.Context(), t.request)
	if err != nil {
		closeBody(request)
		return nil, err
	}
	response, err := t.send(base, request, request.Body, token)
	if err != nil || !isRefusal(response) {
		return response, err
	}
	next, err := t.replacement(request.Context(), token, response)
	if err != nil {
		drain(response)
		return nil, err
	}
	if next == nil {
		return response, nil
	}
	body, isAgain := bodyAgain(request)
	if !isAgain {
		return response, nil
	}
	drain(response)
	return t.send(base, request, body, next)
}

// bodyAgain is the body once more; false where there is none to be had.
func bodyAgain(request *http.Request) (io.ReadCloser, bool) {
	if request.Body == nil || request.Body == http.NoBody {
		return request.Body, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	return body, err == nil
}

func drain(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, maxDrained)
	_ = response.Body.Close()
}

// replacement reports that the API refused the token, and answers the one to try instead; nil when there is none. The error is that of a
// person who can grant what the API wants.
func (t *Transport) replacement(ctx context.Context, refused *Token, response *http.Response) (*Token, error) {
	challenge := challenges(response)
	if len(challenge) > maxChallenge {
		challenge = ""
	}
	answer, err := t.client.report(ctx, t.request.name, refused.Revision, response.StatusCode, challenge)
	if err != nil {
		return nil, nil
	}
	switch answer.GetOutcome() {
	case nexusv1.RejectionOutcome_REJECTION_OUTCOME_AUTHENTICATION_INSUFFICIENT:
		if consent := answer.GetConsent(); consent != nil {
			return nil, consentError(consent, answer.GetMissingScopes())
		}
	case nexusv1.RejectionOutcome_REJECTION_OUTCOME_SCOPES_MISSING:
		t.client.cache.lacks(t.request.name, answer.GetMissingScopes())
		if consent := answer.GetConsent(); consent != nil {
			return nil, consentError(consent, answer.GetMissingScopes())
		}
	case nexusv1.RejectionOutcome_REJECTION_OUTCOME_SUPERSEDED, nexusv1.RejectionOutcome_REJECTION_OUTCOME_REFRESHED:
		if answer.GetRevision() <= refused.Revision {
			return nil, nil
		}
		if next, err := t.client.atLeast(ctx, t.request, answer.GetRevision()); err == nil {
			return next, nil
		}
	}
	return nil, nil
}

func (c *Client) report(ctx context.Context, n name, revision uint64, status int, challenge string) (*nexusv1.ReportRejectedTokenResponse, error) {
	// The API may have refused it since the daemon was away.
	if err := c.connected(ctx, connectPatience, attemptTime); err != nil {
		return nil, err
	}
	return c.tokens.ReportRejectedToken(ctx, &nexusv1.ReportRejectedTokenRequest{
		Name: n.message(), Revision: revision, Status: uint32(status), WwwAuthenticate: challenge,
	})
}

// atLeast answers the token of the revision or a later one: the stream brings it, or else it is asked for.
func (c *Client) atLeast(ctx context.Context, r *request, revision uint64) (*Token, error) {
	patience := time.NewTimer(streamPatience)
	defer patience.Stop()
	for {
		token, changed := c.cache.atLeast(r.name, revision)
		if token != nil {
			return token, nil
		}
		if changed == nil {
			return c.ask(ctx, r, 0)
		}
		select {
		case <-changed:
		case <-patience.C:
			return c.ask(ctx, r, 0)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// send sends a copy of the request with the credential in it, and once more where an API wants a nonce in the proof of a bound token. The
// answer names the request of the caller, which has no credential.
func (t *Transport) send(base http.RoundTripper, request *http.Request, body io.ReadCloser, token *Token) (*http.Response, error) {
	response, err := t.sendOnce(base, request, body, token)
	if err != nil || !strategy.NeedsProof(token.Strategy) || !t.nonces.answered(origin(request), response) {
		return response, err
	}
	again, isAgain := bodyAgain(request)
	if !isAgain {
		return response, nil
	}
	drain(response)
	response, err = t.sendOnce(base, request, again, token)
	if err == nil {
		t.nonces.answered(origin(request), response)
	}
	return response, err
}

func (t *Transport) sendOnce(base http.RoundTripper, request *http.Request, body io.ReadCloser, token *Token) (*http.Response, error) {
	own := request.Clone(request.Context())
	own.Body = body
	proof, err := t.proof(own, token)
	if err == nil {
		err = token.ApplyProved(own, proof)
	}
	if err != nil {
		closeBody(own)
		return nil, err
	}
	response, err := base.RoundTrip(own)
	if response != nil {
		response.Request = request
	}
	return response, err
}

// proof asks the daemon for the proof of the request; empty for a token that is not bound.
func (t *Transport) proof(request *http.Request, token *Token) (string, error) {
	if !strategy.NeedsProof(token.Strategy) {
		return "", nil
	}
	method := request.Method
	if method == "" {
		method = http.MethodGet
	}
	bare := *request.URL
	bare.User, bare.RawQuery, bare.ForceQuery, bare.Fragment, bare.RawFragment = nil, "", false, "", ""
	if request.Host != "" {
		bare.Host = request.Host
	}
	answer, err := t.client.tokens.CreateProof(request.Context(), &nexusv1.CreateProofRequest{
		Name: t.request.name.message(), Method: method, Url: bare.String(), Nonce: t.nonces.of(origin(request)),
	})
	if err != nil {
		return "", statusError(err)
	}
	return answer.GetProof(), nil
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

// leavesOrigin tells whether redirects led to another scheme, host or port than the caller asked for, be it on the way alone.
func leavesOrigin(request *http.Request) bool {
	for step := request; step.Response != nil && step.Response.Request != nil; {
		step = step.Response.Request
		if origin(step) != origin(request) {
			return true
		}
	}
	return false
}

func origin(request *http.Request) string {
	address := request.URL
	port := address.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[address.Scheme]
	}
	return address.Scheme + "://" + strings.ToLower(address.Hostname()) + ":" + port
}

// insufficientScope is the error of RFC 6750 section 3.1, quoted or not.
var insufficientScope = regexp.MustCompile(`(?i)(^|[\s,])error\s*=\s*("insufficient_scope"|insufficient_scope($|[\s,]))`)

func isRefusal(response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized ||
		response.StatusCode == http.StatusForbidden && insufficientScope.MatchString(challenges(response))
}

// challenges are those of the answer as one text (RFC 9110 section 11.6.1).
func challenges(response *http.Response) string {
	return strings.Join(response.Header.Values("WWW-Authenticate"), ", ")
}
