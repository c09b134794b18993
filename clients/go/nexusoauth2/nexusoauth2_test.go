package nexusoauth2_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	nexus "github.com/nexusd/nexusd/clients/go"
	"github.com/nexusd/nexusd/clients/go/nexusoauth2"
	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

func ExampleTokenSource() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	source := nexusoauth2.TokenSource(context.Background(), client, "google", "ada")
	api := &http.Client{Transport: &oauth2.Transport{Source: source}}
	response, err := api.Get("https://www.googleapis.com/calendar/v3/users/me/calendarList")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
}

type daemon struct {
	nexusv1.UnimplementedTokenServiceServer
	answer *nexusv1.AcquireTokenResponse
}

func (d *daemon) AcquireToken(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
	return d.answer, nil
}

func client(t *testing.T, answer *nexusv1.AcquireTokenResponse) *nexus.Client {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	nexusv1.RegisterTokenServiceServer(server, &daemon{answer: answer})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	c, err := nexus.New(nexus.Address("unix:" + path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func answerOf(strategy *nexusv1.Strategy, credentials map[string]string, expiresAt time.Time) *nexusv1.AcquireTokenResponse {
	return &nexusv1.AcquireTokenResponse{Result: &nexusv1.AcquireTokenResponse_Token{Token: &nexusv1.Token{
		Strategy: strategy, Credentials: credentials, Revision: 1, TokenType: "Bearer", ExpiresAt: timestamppb.New(expiresAt),
	}}}
}

func TestTokenSource(t *testing.T) {
	expiresAt := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	bearer := &nexusv1.Strategy{Kind: &nexusv1.Strategy_Oauth2{Oauth2: &nexusv1.OAuth2Strategy{}}}
	source := nexusoauth2.TokenSource(t.Context(), client(t, answerOf(bearer, map[string]string{"access_token": "one"}, expiresAt)), "google", "ada")
	token, err := source.Token()
	if err != nil || token.AccessToken != "one" || token.TokenType != "Bearer" || !token.Expiry.Equal(expiresAt) {
		t.Fatal(token, err)
	}

	var got string
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer api.Close()
	response, err := (&http.Client{Transport: &oauth2.Transport{Source: source}}).Get(api.URL)
	if err != nil || got != "Bearer one" {
		t.Error(got, err)
	}
	_ = response.Body.Close()
}

func TestWhatIsNoAccessTokenIsAnError(t *testing.T) {
	key := &nexusv1.Strategy{Kind: &nexusv1.Strategy_Header{Header: &nexusv1.HeaderStrategy{}}}
	static := client(t, answerOf(key, map[string]string{"api_key": "k"}, time.Now().Add(time.Hour)))
	if token, err := nexusoauth2.TokenSource(t.Context(), static, "maps", "ada").Token(); err == nil {
		t.Error(token)
	}
	link := &nexusv1.AcquireTokenResponse{Result: &nexusv1.AcquireTokenResponse_Consent{
		Consent: &nexusv1.ConsentRequired{AuthUrl: "https://nexus.example/1", Reason: "not_connected"},
	}}
	_, err := nexusoauth2.TokenSource(t.Context(), client(t, link), "google", "ada").Token()
	if consent := new(nexus.ConsentRequired); !errors.As(err, &consent) || consent.AuthURL != "https://nexus.example/1" {
		t.Error(err)
	}
}
