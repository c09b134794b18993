package nexus

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

func boundToken(text string) *nexusv1.Token {
	token := aToken(text, 1, time.Hour)
	prefix := "DPoP "
	token.TokenType = "DPoP"
	token.Strategy = &nexusv1.Strategy{Kind: &nexusv1.Strategy_Oauth2{Oauth2: &nexusv1.OAuth2Strategy{ValuePrefix: &prefix}}}
	return token
}

func TestABoundTokenGoesWithAProofAndTheNonceOfTheAPI(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(boundToken("one"))
		calls := 0
		var proofs []string
		base := &api{answer: func(request *http.Request) *http.Response {
			calls++
			proofs = append(proofs, request.Header.Get("DPoP"))
			if calls == 1 {
				return &http.Response{StatusCode: 401, Header: http.Header{
					"Www-Authenticate": {`DPoP error="use_dpop_nonce"`}, "Dpop-Nonce": {"n-1"},
				}}
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Dpop-Nonce": {"n-2"}}}
		}}
		transport := client.Transport("google", "ada")
		transport.Base = base
		for range 2 {
			request, _ := http.NewRequest("POST", "https://api.example/v1/x?secret=1#f", strings.NewReader("b"))
			response, err := transport.RoundTrip(request)
			if err != nil || response.StatusCode != 200 {
				t.Fatal(response, err)
			}
			if request.Header.Get("Authorization") != "" {
				t.Error("the caller's request has the credential")
			}
		}
		if len(daemon.proved) != 3 || len(daemon.reported) != 0 {
			t.Fatal(daemon.proved, daemon.reported)
		}
		for index, nonce := range []string{"", "n-1", "n-2"} {
			asked := daemon.proved[index]
			if asked.Nonce != nonce || asked.Method != "POST" || asked.Url != "https://api.example/v1/x" {
				t.Error(asked)
			}
			if proofs[index] != "header.proof.signature" || !strings.HasSuffix(base.seen[index], "DPoP one b") {
				t.Error(proofs[index], base.seen[index])
			}
		}
	})
}

func TestABoundTokenIsNoBearerToken(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(boundToken("one"))
		token, err := client.Token(t.Context(), "google", "ada")
		if err != nil {
			t.Fatal(err)
		}
		request, _ := http.NewRequest("GET", "https://api.example/", nil)
		var refused *strategy.Error
		if err := token.Apply(request); !errors.As(err, &refused) || refused.Field != "proof" {
			t.Error(err)
		}
		if len(request.Header) != 0 {
			t.Error("the request has the credential")
		}
		if err := token.ApplyProved(request, "a\r\nb"); !errors.As(err, &refused) || refused.Reason != strategy.InvalidCredential {
			t.Error(err)
		}
		if _, err := client.RPCCredentials("google", "ada").GetRequestMetadata(t.Context()); !errors.As(err, &refused) {
			t.Error(err)
		}
	})
}
