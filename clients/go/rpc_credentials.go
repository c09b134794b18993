package nexus

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc/credentials"

	"github.com/nexusd/nexusd/clients/go/strategy"
)

// RPCCredentials puts the current credential into the metadata of each call of grpc-go, for
// [google.golang.org/grpc.WithPerRPCCredentials] and [google.golang.org/grpc.PerRPCCredentials].
type RPCCredentials struct {
	// AllowInsecure lets the credential go over a connection without TLS, where everybody on the way can read it.
	AllowInsecure bool

	client  *Client
	request *request
}

var _ credentials.PerRPCCredentials = (*RPCCredentials)(nil)

// RPCCredentials makes per-call credentials for the user at the provider. The strategy must be one of a header: oauth2, header or
// basic_auth. Where there is no token, calls fail with the status that the daemon answered, and with UNAUTHENTICATED when a person is needed.
func (c *Client) RPCCredentials(provider, user string, options ...TokenOption) *RPCCredentials {
	return &RPCCredentials{client: c, request: newRequest(provider, user, options)}
}

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (r *RPCCredentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := r.client.token(ctx, r.request)
	if err != nil {
		return nil, err
	}
	if token.Strategy.GetQueryParam() != nil || strategy.CoversBody(token.Strategy) {
		return nil, &strategy.Error{Reason: strategy.InvalidStrategy, Field: "strategy",
			Description: "must be oauth2, header or basic_auth: a call of gRPC has metadata alone"}
	}
	if strategy.NeedsProof(token.Strategy) {
		return nil, &strategy.Error{Reason: strategy.InvalidStrategy, Field: "strategy",
			Description: "is bound to a key (DPoP), and credentials of gRPC cannot prove it for each call: use the client's Transport"}
	}
	raw := &strategy.Request{Method: http.MethodPost, Header: http.Header{}}
	if err := strategy.Apply(token.Strategy, token.Credentials, raw, strategy.Options{}); err != nil {
		return nil, err
	}
	metadata := map[string]string{}
	for name := range raw.Header {
		metadata[strings.ToLower(name)] = raw.Header.Get(name)
	}
	return metadata, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (r *RPCCredentials) RequireTransportSecurity() bool { return !r.AllowInsecure }
