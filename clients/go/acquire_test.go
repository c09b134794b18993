package nexus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

func TestAcquireShowsEachLinkOnceAndWaits(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		n := 0
		daemon.acquires(func(ctx context.Context, r *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			n++
			switch n {
			case 1:
				return consentAnswer("https://nexus.example/1", "not_connected"), nil
			case 2:
				passes(ctx, r.GetWait().AsDuration())
				return consentAnswer("https://nexus.example/1", "not_connected"), nil
			case 3:
				return nil, status.Error(codes.Unavailable, "restarting")
			case 4:
				return consentAnswer("https://nexus.example/2", "consent_expired"), nil
			}
			return tokenAnswer(aToken("one", 1, time.Hour)), nil
		})
		var shown []string
		token, err := client.Acquire(t.Context(), "github", "ada", OnConsent(func(c *ConsentRequired) {
			shown = append(shown, c.AuthURL)
		}))
		if err != nil || token.Revision != 1 {
			t.Fatalf("%v, %v", token, err)
		}
		if !slices.Equal(shown, []string{"https://nexus.example/1", "https://nexus.example/2"}) {
			t.Errorf("shown: %v", shown)
		}
		wants(t, daemon, client, "one", 5)
	})
}

func TestAcquireEndsWithANoButAsksAnewWhoSaidNoBefore(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		n := 0
		daemon.acquires(func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			n++
			reason := "access_denied"
			if n == 2 {
				reason = "consent_expired"
			}
			return consentAnswer(fmt.Sprintf("https://nexus.example/%d", n), reason), nil
		})
		var shown []string
		_, err := client.Acquire(t.Context(), "github", "ada", OnConsent(func(c *ConsentRequired) { shown = append(shown, c.AuthURL) }))
		var denied *ConsentDenied
		var attention *AttentionRequired
		var consent *ConsentRequired
		if !errors.As(err, &denied) || !errors.As(err, &attention) || !errors.As(err, &consent) || attention.Reason != "access_denied" {
			t.Fatalf("%#v", err)
		}
		if denied.Consent.AuthURL != "https://nexus.example/3" || strings.Contains(err.Error(), "https") {
			t.Error(err, denied.Consent.AuthURL)
		}
		if !slices.Equal(shown, []string{"https://nexus.example/1", "https://nexus.example/2"}) {
			t.Errorf("shown: %v", shown)
		}
	})
}

func TestAcquireShowsTheCodeOfADevice(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		n := 0
		daemon.acquires(func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			n++
			if n == 3 {
				return tokenAnswer(aToken("one", 1, time.Hour)), nil
			}
			answer := consentAnswer("", "not_connected")
			answer.GetConsent().VerificationUri, answer.GetConsent().UserCode = "https://provider.example/device", "ABCD-EFGH"
			return answer, nil
		})
		var shown []string
		_, err := client.Acquire(t.Context(), "github", "ada", OnConsent(func(c *ConsentRequired) {
			shown = append(shown, c.Instruction())
		}))
		if err != nil || !slices.Equal(shown, []string{"open https://provider.example/device and enter ABCD-EFGH"}) {
			t.Error(shown, err)
		}
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.acquires(func(ctx context.Context, r *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			if deadline, _ := ctx.Deadline(); r.GetWait() != nil && time.Until(deadline) <= r.GetWait().AsDuration() {
				t.Errorf("a wait of %s ends after the call", r.GetWait().AsDuration())
			}
			passes(ctx, r.GetWait().AsDuration())
			return consentAnswer("https://nexus.example/1", "not_connected"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := client.Acquire(ctx, "github", "ada", OnConsent(func(*ConsentRequired) {}))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 100*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if !strings.Contains(err.Error(), "ada did not consent to github within 100 s") {
			t.Error(err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err = client.Acquire(ctx, "github", "ada", OnConsent(func(*ConsentRequired) {})); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}

		time.AfterFunc(time.Second, func() { _ = client.Close() })
		if _, err = client.Acquire(t.Context(), "github", "ada", OnConsent(func(*ConsentRequired) {})); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err = client.Token(t.Context(), "github", "ada"); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestCloseEndsACallUnderWay(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.acquires(func(ctx context.Context, _ *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		time.AfterFunc(time.Second, func() { _ = client.Close() })
		if _, err := client.Token(t.Context(), "github", "ada"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestOneWhoGivesUpDoesNotTakeTheCallFromOthers(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.acquires(func(ctx context.Context, _ *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			passes(ctx, time.Second)
			return tokenAnswer(aToken("one", 1, time.Hour)), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		others := make(chan error)
		first := make(chan error)
		go func() {
			_, err := client.Token(ctx, "github", "ada")
			first <- err
		}()
		synctest.Wait()
		go func() {
			_, err := client.Token(t.Context(), "github", "ada")
			others <- err
		}()
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-others; err != nil {
			t.Error(err)
		}
		wants(t, daemon, client, "one", 1)
	})
}

func TestErrorsAreTyped(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		ask := func(answer *nexusv1.AcquireTokenResponse, err error) error {
			daemon.acquires(func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
				return answer, err
			})
			_, got := client.Token(t.Context(), "github", "ada")
			return got
		}
		withDetail := func(code codes.Code, info *errdetails.ErrorInfo, retry time.Duration) error {
			st, err := status.New(code, "no").WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
			if err != nil {
				t.Fatal(err)
			}
			return st.Err()
		}
		link := "https://nexus.example/auth/start?state=secret"

		var consent *ConsentRequired
		var attention *AttentionRequired
		err := ask(consentAnswer(link, "not_connected"), nil)
		if !errors.As(err, &consent) || consent.AuthURL != link || consent.ConnectionID != "c1" || errors.As(err, &attention) {
			t.Errorf("%#v", err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the text has the link: %s", err)
		}

		err = ask(consentAnswer(link, "reauth_required"), nil)
		if !errors.As(err, &attention) || attention.Reason != "reauth_required" || !errors.As(err, &consent) {
			t.Errorf("%#v", err)
		}

		consent = nil
		err = ask(nil, withDetail(codes.FailedPrecondition, &errdetails.ErrorInfo{Reason: "PROVIDER_MISCONFIGURED"}, 0))
		if !errors.As(err, &attention) || attention.Reason != "PROVIDER_MISCONFIGURED" || errors.As(err, &consent) {
			t.Errorf("%#v", err)
		}

		var unavailable *Unavailable
		err = ask(nil, withDetail(codes.ResourceExhausted, &errdetails.ErrorInfo{Reason: "TOO_MANY_STREAMS"}, 3*time.Second))
		if !errors.As(err, &unavailable) || unavailable.RetryAfter != 3*time.Second || unavailable.Err.Reason != "TOO_MANY_STREAMS" {
			t.Errorf("%#v", err)
		}

		for code, sentinel := range map[codes.Code]error{
			codes.NotFound: ErrNotFound, codes.Unauthenticated: ErrUnauthenticated,
			codes.PermissionDenied: ErrPermissionDenied, codes.InvalidArgument: ErrInvalidArgument,
		} {
			err = ask(nil, status.Error(code, "no"))
			var known *Error
			if !errors.Is(err, sentinel) || !errors.As(err, &known) || status.Code(err) != code {
				t.Errorf("%s: %#v", code, err)
			}
		}
	})
}

func TestATokenPrintsNoSecret(t *testing.T) {
	token := TokenOf(aToken("s3cret", 3, time.Hour))
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("token", "token", token, "value", *token)
	text := fmt.Sprintf("%v %+v %#v %s %q %d %v %#v", token, token, token, token, token, token, *token, *token) + log.String()
	if strings.Contains(text, "s3cret") || !strings.Contains(text, "revision 3") {
		t.Error(text)
	}
}
