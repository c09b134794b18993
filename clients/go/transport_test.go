package nexus

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

// api answers requests, and remembers what it saw.
type api struct {
	seen   []string // method, URL, authorization and body
	answer func(*http.Request) *http.Response
}

func (a *api) RoundTrip(request *http.Request) (*http.Response, error) {
	body := ""
	if request.Body != nil {
		data, _ := io.ReadAll(request.Body)
		_ = request.Body.Close()
		body = string(data)
	}
	a.seen = append(a.seen, strings.TrimSpace(strings.Join(
		[]string{request.Method, request.URL.String(), request.Header.Get("Authorization"), body}, " ")))
	response := a.answer(request)
	response.Request, response.Proto, response.ProtoMajor = request, "HTTP/1.1", 1
	if response.Body == nil {
		response.Body = io.NopCloser(strings.NewReader("body"))
	}
	return response, nil
}

// refuses answers 401 to all tokens but the one.
func refuses(but string) func(*http.Request) *http.Response {
	return func(request *http.Request) *http.Response {
		if request.Header.Get("Authorization") == "Bearer "+but {
			return &http.Response{StatusCode: 200, Header: http.Header{}}
		}
		return &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {"Bearer", `Basic realm="x"`}}}
	}
}

func refreshed(revision uint64) func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
	return func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
		return &nexusv1.ReportRejectedTokenResponse{
			Outcome: nexusv1.RejectionOutcome_REJECTION_OUTCOME_REFRESHED, Revision: revision,
		}, nil
	}
}

func TestARefusedTokenIsReportedAndTheNextOneSentOnce(t *testing.T) {
	for name, last := range map[string]int{"two": 200, "three": 401} {
		play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
			daemon.answers(aToken("one", 1, time.Hour))
			wants(t, daemon, client, "one", 1)
			stream := <-daemon.streams
			stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
			daemon.reports(func(r *nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
				go func() { stream.send <- state("c1", 2, aToken("two", 2, time.Hour)) }()
				return refreshed(2)(r)
			})
			server := &api{answer: refuses(name)}
			transport := client.Transport("github", "ada")
			transport.Base = server
			request, _ := http.NewRequestWithContext(t.Context(), "POST", "https://api.example/v1", strings.NewReader("hello"))
			response, err := transport.RoundTrip(request)
			if err != nil || response.StatusCode != last || response.Request != request {
				t.Fatalf("%v, %v", response, err)
			}
			if request.Header.Get("Authorization") != "" {
				t.Error("the caller's request was changed")
			}
			want := "POST https://api.example/v1 Bearer one hello, POST https://api.example/v1 Bearer two hello"
			if got := strings.Join(server.seen, ", "); got != want {
				t.Errorf("the API saw %s", got)
			}
			report := daemon.reported[0]
			if len(daemon.reported) != 1 || report.GetRevision() != 1 || report.GetStatus() != 401 ||
				report.GetWwwAuthenticate() != `Bearer, Basic realm="x"` || report.GetName().GetUserId() != "ada" {
				t.Errorf("reported: %v", daemon.reported)
			}
			if daemon.calls() != 1 {
				t.Errorf("the daemon was asked %d times, and the stream told", daemon.calls())
			}
		})
	}
}

func TestTheNextTokenIsAskedForWhenNoStreamTells(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		wants(t, daemon, client, "one", 1)
		stream := <-daemon.streams
		stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
		daemon.answers(aToken("two", 2, time.Hour))
		daemon.reports(refreshed(2))
		transport := client.Transport("github", "ada")
		transport.Base = &api{answer: refuses("two")}
		response, err := (&http.Client{Transport: transport}).Get("https://api.example/")
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%v, %v", response, err)
		}
		_ = response.Body.Close()
	})
}

func TestTheFirstAnswerIsGivenWhereNothingHelps(t *testing.T) {
	body := func() io.Reader { return io.LimitReader(strings.NewReader("once"), 4) } // without GetBody
	failing := func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
		return nil, status.Error(codes.FailedPrecondition, "no")
	}
	forbidden := func(challenge string) func(*http.Request) *http.Response {
		return func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 403, Header: http.Header{"Www-Authenticate": {challenge}}}
		}
	}
	scopes := func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
		return &nexusv1.ReportRejectedTokenResponse{Outcome: nexusv1.RejectionOutcome_REJECTION_OUTCOME_SCOPES_MISSING, Revision: 1}, nil
	}
	for _, each := range []struct {
		name    string
		body    io.Reader
		answer  func(*http.Request) *http.Response
		report  func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error)
		reports int
	}{
		{"a body that cannot be sent twice", body(), refuses("two"), refreshed(2), 1},
		{"a report that fails", nil, refuses("two"), failing, 1},
		{"a revision that is no later", nil, refuses("two"), refreshed(1), 1},
		{"missing scopes without a link", nil, forbidden(`Bearer error="insufficient_scope", scope="repo"`), scopes, 1},
		{"missing scopes without quotes", nil, forbidden(`Bearer realm=x, error=insufficient_scope`), scopes, 1},
		{"403 that is not about the token", nil, forbidden(`Bearer error_description="error=insufficient_scope_not"`), nil, 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
				daemon.answers(aToken("one", 1, time.Hour))
				daemon.reports(each.report)
				server := &api{answer: each.answer}
				transport := client.Transport("github", "ada")
				transport.Base = server
				request, _ := http.NewRequestWithContext(t.Context(), "POST", "https://api.example/", each.body)
				response, err := transport.RoundTrip(request)
				if err != nil || response.StatusCode < 401 || len(server.seen) != 1 || len(daemon.reported) != each.reports {
					t.Fatalf("%v, %v, %v, %v", response, err, server.seen, daemon.reported)
				}
				if text, _ := io.ReadAll(response.Body); string(text) != "body" {
					t.Errorf("the body is %q", text)
				}
			})
		})
	}
}

func TestOneRequestFailsWithTheLinkForMissingScopes(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		if _, err := client.Token(t.Context(), "github", "ada", Scopes("repo")); err != nil {
			t.Fatal(err)
		}
		daemon.reports(func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
			return &nexusv1.ReportRejectedTokenResponse{
				Outcome: nexusv1.RejectionOutcome_REJECTION_OUTCOME_SCOPES_MISSING, Revision: 1, MissingScopes: []string{"repo"},
				Consent: consentAnswer("https://nexus.example/1", "scopes_missing").GetConsent(),
			}, nil
		})
		transport := client.Transport("github", "ada")
		transport.Base = &api{answer: func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 403, Header: http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope", scope="repo"`}}}
		}}
		_, err := (&http.Client{Transport: transport}).Get("https://api.example/")
		var consent *ConsentRequired
		if !errors.As(err, &consent) || consent.AuthURL != "https://nexus.example/1" || !slices.Equal(consent.Scopes, []string{"repo"}) {
			t.Fatal(err)
		}
		wants(t, daemon, client, "one", 1) // other requests go on
		if _, err = client.Token(t.Context(), "github", "ada", Scopes("repo")); err != nil || daemon.calls() != 2 {
			t.Errorf("what an API says is missing was not asked for: %d calls, %v", daemon.calls(), err)
		}
	})
}

func TestOneRequestFailsWithTheLinkForAnotherSignIn(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		daemon.reports(func(*nexusv1.ReportRejectedTokenRequest) (*nexusv1.ReportRejectedTokenResponse, error) {
			return &nexusv1.ReportRejectedTokenResponse{
				Outcome: nexusv1.RejectionOutcome_REJECTION_OUTCOME_AUTHENTICATION_INSUFFICIENT, Revision: 1,
				Consent: consentAnswer("https://nexus.example/1", "authentication_insufficient").GetConsent(),
			}, nil
		})
		transport := client.Transport("github", "ada")
		transport.Base = &api{answer: func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {`Bearer error="insufficient_user_authentication", max_age="5"`}}}
		}}
		_, err := (&http.Client{Transport: transport}).Get("https://api.example/")
		var consent *ConsentRequired
		var attention *AttentionRequired
		if !errors.As(err, &consent) || errors.As(err, &attention) || consent.AuthURL != "https://nexus.example/1" {
			t.Fatal(err)
		}
		wants(t, daemon, client, "one", 1) // other requests go on
	})
}

func TestARedirectToAnotherOriginLosesTheCredential(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		steps := map[string]string{
			"https://api.example/1": "https://api.example:443/2", "https://api.example:443/2": "https://evil.example/3",
			"https://evil.example/3": "https://api.example/4",
		}
		server := &api{answer: func(request *http.Request) *http.Response {
			next := steps[request.URL.String()]
			if next == "" {
				return &http.Response{StatusCode: 200, Header: http.Header{}}
			}
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {next}}}
		}}
		transport := client.Transport("github", "ada")
		transport.Base = server
		response, err := (&http.Client{Transport: transport}).Get("https://api.example/1")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		want := "GET https://api.example/1 Bearer one, GET https://api.example:443/2 Bearer one, " +
			"GET https://evil.example/3, GET https://api.example/4"
		if got := strings.Join(server.seen, ", "); got != want {
			t.Errorf("the APIs saw %s", got)
		}
	})
}

func TestOtherStrategiesOfARequest(t *testing.T) {
	sign := &nexusv1.Strategy{Kind: &nexusv1.Strategy_HmacPayload{HmacPayload: &nexusv1.HmacPayloadStrategy{HeaderName: "X-Sig"}}}
	token := &Token{Strategy: sign, Credentials: map[string]string{"api_secret": "Jefe"}}
	request, _ := http.NewRequest("POST", "https://api.example/", strings.NewReader("what do ya want for nothing?"))
	// RFC 4231 section 4.3
	if err := token.Apply(request); err != nil || request.Header.Get("X-Sig") != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Error(err, request.Header)
	}
	if text, _ := io.ReadAll(request.Body); len(text) != 28 {
		t.Errorf("the body was read: %q is left", text)
	}
	request, _ = http.NewRequest("POST", "https://api.example/", io.LimitReader(strings.NewReader("once"), 4))
	var inapplicable *strategy.Error
	if err := token.Apply(request); !errors.As(err, &inapplicable) || inapplicable.Field != "body" {
		t.Error(err)
	}

	token.Strategy = &nexusv1.Strategy{Kind: &nexusv1.Strategy_QueryParam{QueryParam: &nexusv1.QueryParamStrategy{ParamName: "key", CredentialField: "api_secret"}}}
	request, _ = http.NewRequest("GET", "https://api.example/%7e/?q=A%2fb", nil)
	if err := token.Apply(request); err != nil || request.URL.String() != "https://api.example/%7e/?q=A%2fb&key=Jefe" {
		t.Error(err, request.URL)
	}

	token = &Token{
		Strategy:    &nexusv1.Strategy{Kind: &nexusv1.Strategy_AwsSigv4{AwsSigv4: &nexusv1.AwsSigV4Strategy{Service: "s3"}}},
		Credentials: map[string]string{"access_key": "AK", "secret_key": "SK"},
	}
	request, _ = http.NewRequest("GET", "https://bucket.example/a//b", nil)
	if err := token.Apply(request); err != nil || request.Header.Get("Host") != "" ||
		!strings.Contains(request.Header.Get("Authorization"), "SignedHeaders=host;x-amz-content-sha256;x-amz-date, ") {
		t.Error(err, request.Header)
	}
}

func TestRPCCredentials(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		perCall := client.RPCCredentials("github", "ada")
		metadata, err := perCall.GetRequestMetadata(t.Context(), "https://api.example/service")
		if err != nil || metadata["authorization"] != "Bearer one" || len(metadata) != 1 || !perCall.RequireTransportSecurity() {
			t.Error(metadata, err)
		}
		query := aToken("one", 1, time.Hour)
		query.Credentials["api_key"] = "k"
		query.Strategy = &nexusv1.Strategy{Kind: &nexusv1.Strategy_QueryParam{QueryParam: &nexusv1.QueryParamStrategy{ParamName: "key"}}}
		daemon.answers(query)
		var inapplicable *strategy.Error
		if _, err = client.RPCCredentials("maps", "ada").GetRequestMetadata(t.Context()); !errors.As(err, &inapplicable) {
			t.Error(err)
		}
	})
}

func TestWatchComesBackAndEndsWithWhatIsFinal(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		seen := 0
		var last error
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for message, err := range client.Watch(t.Context(), "c1") {
				if last = err; message != nil {
					seen++
				}
			}
		}()
		stream := <-daemon.streams
		stream.says(state("c1", 1, nil), bookmark(4))
		stream.end <- nil
		stream = <-daemon.streams
		if stream.request.GetPosition().GetRevision() != 4 || stream.request.GetConnectionIds()[0] != "c1" {
			t.Errorf("it came back with %v", stream.request)
		}
		stream.says(bookmark(5))
		stream.end <- status.Error(codes.Unauthenticated, "no")
		<-ended
		if seen != 3 || !errors.Is(last, ErrUnauthenticated) {
			t.Error(seen, last)
		}
		go func() { (<-daemon.streams).send <- bookmark(6) }()
		for range client.Watch(t.Context()) {
			break
		}
		synctest.Wait()
	})
}
