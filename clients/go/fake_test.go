package nexus

import (
	"context"
	"maps"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// fakeDaemon serves TokenService in the process: a test says what it answers, and plays its streams.
type fakeDaemon struct {
	nexusv1.UnimplementedTokenServiceServer
	listener *bufconn.Listener
	server   *grpc.Server
	streams  chan *fakeStream
	key      fakeKey

	mu       sync.Mutex
	acquire  func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error)
	report   func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error)
	acquired []*nexusv1.AcquireTokenRequest
	proved   []*nexusv1.CreateProofRequest
	reported []*nexusv1.ReportRejectedTokenRequest
}

// fakeStream is a call of WatchTokens.
type fakeStream struct {
	request *nexusv1.WatchTokensRequest
	send    chan *nexusv1.WatchTokensResponse
	end     chan error
	gone    <-chan struct{} // closed when the client gave it up
}

// play runs a test with a daemon and a client, in time that goes on only while all wait.
func play(t *testing.T, test func(t *testing.T, daemon *fakeDaemon, client *Client)) {
	synctest.Test(t, func(t *testing.T) {
		daemon := &fakeDaemon{streams: make(chan *fakeStream, 100)}
		daemon.serve()
		conn, err := grpc.NewClient("passthrough:///daemon", append(dialParams,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				daemon.mu.Lock()
				listener := daemon.listener
				daemon.mu.Unlock()
				return listener.DialContext(ctx)
			}))...)
		if err != nil {
			t.Fatal(err)
		}
		client := newClient(conn, "bufconn")
		defer daemon.server.Stop()
		defer client.Close()
		test(t, daemon, client)
	})
}

func (d *fakeDaemon) serve() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener = bufconn.Listen(64 << 10)
	d.server = grpc.NewServer()
	nexusv1.RegisterTokenServiceServer(d.server, d)
	nexusv1.RegisterAccessServiceServer(d.server, &d.key)
	go func(server *grpc.Server, listener *bufconn.Listener) { _ = server.Serve(listener) }(d.server, d.listener)
}

func (d *fakeDaemon) AcquireToken(ctx context.Context, r *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
	d.mu.Lock()
	d.acquired = append(d.acquired, r)
	acquire := d.acquire
	d.mu.Unlock()
	return acquire(ctx, r)
}

func (d *fakeDaemon) ReportRejectedToken(_ context.Context, r *nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
	d.mu.Lock()
	d.reported = append(d.reported, r)
	report := d.report
	d.mu.Unlock()
	return report(r)
}

func (d *fakeDaemon) CreateProof(_ context.Context, r *nexusv1.CreateProofRequest) (*nexusv1.CreateProofResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proved = append(d.proved, r)
	return &nexusv1.CreateProofResponse{Proof: "header.proof.signature"}, nil
}

func (d *fakeDaemon) WatchTokens(r *nexusv1.WatchTokensRequest, s grpc.ServerStreamingServer[nexusv1.WatchTokensResponse]) error {
	stream := &fakeStream{r, make(chan *nexusv1.WatchTokensResponse), make(chan error), s.Context().Done()}
	d.streams <- stream
	for {
		select {
		case message := <-stream.send:
			if err := s.Send(message); err != nil {
				return err
			}
		case err := <-stream.end:
			return err
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

// answers lets every AcquireToken answer the token.
func (d *fakeDaemon) answers(token *nexusv1.Token) {
	d.acquires(func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
		return tokenAnswer(token), nil
	})
}

func (d *fakeDaemon) acquires(acquire func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acquire = acquire
}

func (d *fakeDaemon) reports(report func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report = report
}

// calls is the number of calls of AcquireToken.
func (d *fakeDaemon) calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.acquired)
}

// says sends messages, and waits until the client took them.
func (s *fakeStream) says(messages ...*nexusv1.WatchTokensResponse) {
	for _, message := range messages {
		s.send <- message
	}
	synctest.Wait()
}

func aToken(text string, revision uint64, lives time.Duration) *nexusv1.Token {
	return &nexusv1.Token{
		Strategy:      &nexusv1.Strategy{Kind: &nexusv1.Strategy_Oauth2{Oauth2: &nexusv1.OAuth2Strategy{}}},
		Credentials:   map[string]string{"access_token": text},
		Revision:      revision,
		TokenType:     "Bearer",
		GrantedScopes: []string{"read"},
		ExpiresAt:     timestamppb.New(time.Now().Add(lives)),
	}
}

func tokenAnswer(token *nexusv1.Token) *nexusv1.AcquireTokenResponse {
	return &nexusv1.AcquireTokenResponse{Result: &nexusv1.AcquireTokenResponse_Token{Token: token}}
}

func consentAnswer(url, reason string) *nexusv1.AcquireTokenResponse {
	consent := &nexusv1.ConsentRequired{AuthUrl: url, ConnectionId: "c1", Reason: reason}
	return &nexusv1.AcquireTokenResponse{Result: &nexusv1.AcquireTokenResponse_Consent{Consent: consent}}
}

// state is that of github/ada; with a token it is ACTIVE.
func state(id string, revision uint64, token *nexusv1.Token) *nexusv1.WatchTokensResponse {
	status := nexusv1.ConnectionStatus_CONNECTION_STATUS_ACTIVE
	if token == nil {
		status = nexusv1.ConnectionStatus_CONNECTION_STATUS_ATTENTION
	}
	return &nexusv1.WatchTokensResponse{Event: &nexusv1.WatchTokensResponse_State{State: &nexusv1.TokenState{
		ConnectionId: id, UserId: "ada", ProviderName: "github", Status: status, Revision: revision, Token: token,
	}}}
}

func removed(id string) *nexusv1.WatchTokensResponse {
	return &nexusv1.WatchTokensResponse{Event: &nexusv1.WatchTokensResponse_Removed{
		Removed: &nexusv1.ConnectionRemoved{ConnectionId: id},
	}}
}

func bookmark(revision uint64) *nexusv1.WatchTokensResponse {
	return &nexusv1.WatchTokensResponse{Event: &nexusv1.WatchTokensResponse_Bookmark{
		Bookmark: &nexusv1.Bookmark{Position: &nexusv1.Position{Epoch: "e", Revision: revision}},
	}}
}

// wants fails unless the next token is this one, and the daemon was asked so often in all.
func wants(t *testing.T, daemon *fakeDaemon, client *Client, text string, calls int) {
	t.Helper()
	token, err := client.Token(t.Context(), "github", "ada")
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(token.Credentials, map[string]string{"access_token": text}) {
		t.Errorf("got %v, want %s", token.Credentials, text)
	}
	if daemon.calls() != calls {
		t.Errorf("the daemon was asked %d times, want %d", daemon.calls(), calls)
	}
}

// passes waits so long, or until ctx ends.
func passes(ctx context.Context, duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	}
}
