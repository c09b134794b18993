package nexus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

// Token is a usable credential. It is shared by all who ask for it: do not change it. Printed by fmt or slog it shows no secret.
type Token struct {
	// Credentials are the fields that the strategy names, for example access_token.
	Credentials map[string]string
	// Strategy says how to apply them. [Token.Apply] does.
	Strategy *nexusv1.Strategy
	// ExpiresAt is when it expires by the clock of the daemon; zero when the provider did not say.
	ExpiresAt time.Time
	// Revision numbers the credentials of a connection: 1 after the first consent, one more with every refresh or new consent.
	Revision uint64
	// Scopes are those that the provider granted.
	Scopes []string
	// Type is the type of the access token, for example Bearer, or DPoP for one that is bound to a key (RFC 9449): then each request needs a
	// proof beside it, which [Transport] asks for. Empty for static credentials.
	Type string
}

// TokenOf makes a Token of one of the contract, such as a state of [Client.Watch] holds; nil of nil.
func TokenOf(message *nexusv1.Token) *Token {
	if message == nil {
		return nil
	}
	token := &Token{
		Credentials: message.GetCredentials(),
		Strategy:    message.GetStrategy(),
		Revision:    message.GetRevision(),
		Scopes:      message.GetGrantedScopes(),
		Type:        message.GetTokenType(),
	}
	if expiresAt := message.GetExpiresAt(); expiresAt != nil {
		token.ExpiresAt = expiresAt.AsTime()
	}
	return token
}

// AccessToken is the one credential that is sent as it is: an access token, or an API key. Empty for Basic, HMAC and AWS, which have several.
func (t *Token) AccessToken() string { return t.Credentials[strategy.SingleField(t.Strategy)] }

// Apply puts the credential into the request: into a header, into the query, or as a signature. A strategy that covers the body,
// hmac_payload and aws_sigv4, reads it by GetBody, which [http.NewRequest] sets for a body in memory; a request whose body has none
// is refused, and so is a token that is bound to a key: see [Token.ApplyProved]. The error is a [*strategy.Error], or that of GetBody.
func (t *Token) Apply(request *http.Request) error { return t.ApplyProved(request, "") }

// ApplyProved is Apply for a token that is bound to a key: with the proof that CreateProof of [nexusv1.TokenServiceClient] made for this
// very request.
func (t *Token) ApplyProved(request *http.Request, proof string) error {
	raw := &strategy.Request{Method: request.Method, URL: request.URL.String(), Header: request.Header}
	if raw.Method == "" {
		raw.Method = http.MethodGet
	}
	if raw.Header == nil {
		raw.Header = http.Header{}
	}
	if strategy.CoversBody(t.Strategy) {
		body, err := bodyOf(request)
		if err != nil {
			return err
		}
		raw.Body = body
		if request.Host != "" {
			raw.Header = raw.Header.Clone()
			raw.Header.Set("Host", request.Host)
		}
	}
	if err := strategy.Apply(t.Strategy, t.Credentials, raw, strategy.Options{Proof: proof}); err != nil {
		return err
	}
	if strategy.CoversBody(t.Strategy) {
		raw.Header.Del("Host")
	}
	request.Header = raw.Header
	if t.Strategy.GetQueryParam() == nil {
		return nil
	}
	address, err := url.Parse(raw.URL)
	if err != nil { // the error would repeat the URL, with the credential
		return &strategy.Error{Reason: strategy.InvalidRequest, Field: "url", Description: "cannot be parsed"}
	}
	request.URL = address
	return nil
}

func bodyOf(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	if request.GetBody == nil {
		return nil, &strategy.Error{Reason: strategy.InvalidRequest, Field: "body",
			Description: "must be given with GetBody: the credential covers it"}
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, fmt.Errorf("nexus: GetBody: %w", err)
	}
	data, err := io.ReadAll(body)
	return data, errors.Join(err, body.Close())
}

// String tells the revision and the expiry.
func (t Token) String() string {
	if t.ExpiresAt.IsZero() {
		return fmt.Sprintf("token of revision %d that does not expire", t.Revision)
	}
	return fmt.Sprintf("token of revision %d that expires at %s", t.Revision, t.ExpiresAt.Format(time.RFC3339))
}

// Format prints String for every verb.
func (t Token) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, t.String()) }

// LogValue is String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
