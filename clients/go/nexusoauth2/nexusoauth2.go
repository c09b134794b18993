// Package nexusoauth2 gives the tokens of a [nexus.Client] to libraries that take an [oauth2.TokenSource].
package nexusoauth2

import (
	"context"
	"errors"

	"golang.org/x/oauth2"

	nexus "github.com/nexusd/nexusd/clients/go"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

// TokenSource answers the current token of the user at the provider, with the errors of [nexus.Client.Token]. It must be of a provider of
// type oauth2. ctx is that of every call.
//
// The client caches: do not wrap the source into [oauth2.ReuseTokenSource], which would go on using a token that was revoked.
// [oauth2.NewClient] does that; write &http.Client{Transport: &oauth2.Transport{Source: source}}. Where there is a choice take
// [nexus.Client.Transport], which also reports tokens that the API refuses.
func TokenSource(ctx context.Context, client *nexus.Client, provider, user string, options ...nexus.TokenOption) oauth2.TokenSource {
	return source(func() (*nexus.Token, error) { return client.Token(ctx, provider, user, options...) })
}

type source func() (*nexus.Token, error)

// Token implements [oauth2.TokenSource].
func (s source) Token() (*oauth2.Token, error) {
	token, err := s()
	if err != nil {
		return nil, err
	}
	if token.Strategy.GetOauth2() == nil {
		return nil, errors.New("nexusoauth2: the provider is not of type oauth2: use the client's Transport")
	}
	if strategy.NeedsProof(token.Strategy) {
		return nil, errors.New("nexusoauth2: the token is bound to a key (DPoP), and each request needs a proof: use the client's Transport")
	}
	return &oauth2.Token{AccessToken: token.AccessToken(), TokenType: token.Type, Expiry: token.ExpiresAt}, nil
}
