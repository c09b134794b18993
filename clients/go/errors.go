package nexus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// What [errors.Is] finds in an [Error] of that status.
var (
	// ErrNotFound: the provider or connection does not exist, or this caller may not see it.
	ErrNotFound = errors.New("nexus: not found")
	// ErrUnauthenticated: the daemon does not know the key, or was given none.
	ErrUnauthenticated = errors.New("nexus: unauthenticated")
	// ErrPermissionDenied: the policy does not allow it.
	ErrPermissionDenied = errors.New("nexus: permission denied")
	// ErrInvalidArgument: a value of the call is outside of its limits.
	ErrInvalidArgument = errors.New("nexus: invalid argument")
	// ErrClosed: the client was closed before the call.
	ErrClosed = errors.New("nexus: the client is closed")
)

var sentinels = map[codes.Code]error{
	codes.NotFound:         ErrNotFound,
	codes.Unauthenticated:  ErrUnauthenticated,
	codes.PermissionDenied: ErrPermissionDenied,
	codes.InvalidArgument:  ErrInvalidArgument,
	codes.Canceled:         context.Canceled,
	codes.DeadlineExceeded: context.DeadlineExceeded,
}

// Error is what the daemon answered instead of a token. Errors of the other types wrap one.
type Error struct {
	// Code is the status of the call.
	Code codes.Code
	// Reason is a stable word, for example CONNECTION_PENDING; empty for most codes. It is the reason of google.rpc.ErrorInfo.
	Reason string
	// Message says what is wrong and what to do next.
	Message string

	status *status.Status
}

func (e *Error) Error() string {
	return fmt.Sprintf("nexus: %s: %s", e.Code, e.Message)
}

// Is tells whether target is the sentinel of the code: [ErrNotFound] and its like, [context.Canceled], [context.DeadlineExceeded].
func (e *Error) Is(target error) bool { return target == sentinels[e.Code] }

// GRPCStatus is the status as it was answered, for [status.FromError].
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Unavailable says that there is no token now and that there may be one later: the daemon cannot be reached, the provider cannot be
// asked, or a limit was reached.
type Unavailable struct {
	// RetryAfter is how long to wait before the next call; 0 when the daemon did not say.
	RetryAfter time.Duration
	// Err is what was answered.
	Err *Error
}

func (e *Unavailable) Error() string { return e.Err.Error() }

// Unwrap answers Err.
func (e *Unavailable) Unwrap() error { return e.Err }

// ConsentRequired says that a person must open a link before there is a token. [Client.Acquire] waits for that.
//
// Who opens it and consents gives the account that the agent acts with: show it to the user of the call alone. It is no part of the
// error's text.
type ConsentRequired struct {
	// AuthURL is to be opened in the person's browser, once; empty with a device authorization.
	AuthURL string
	// VerificationURI is the page to open on any device with a device authorization (RFC 8628 section 3.3).
	VerificationURI string
	// UserCode is to be entered there.
	UserCode string
	// VerificationURIComplete is the page with the code in it, where the provider has one.
	VerificationURIComplete string
	// Scopes are those that an API said are missing: from [Transport] alone. [Client.Acquire] with them waits for the person.
	Scopes []string
	// ConnectionID names the connection that waits.
	ConnectionID string
	// ExpiresAt is when the link ends.
	ExpiresAt time.Time
	// Reason is not_connected, scopes_missing, authentication_insufficient (RFC 9470), or the word of the connection's problem, for example reauth_required.
	Reason string
}

// Instruction tells the person what to open, and which code to enter there with a device authorization.
func (e *ConsentRequired) Instruction() string {
	if e.VerificationURI != "" {
		return fmt.Sprintf("open %s and enter %s", e.VerificationURI, e.UserCode)
	}
	return "open " + e.AuthURL
}

func (e *ConsentRequired) Error() string {
	// A framework may show it to a model.
	return fmt.Sprintf("nexus: the user must consent to connection %s first, by the link that the application shows (%s); "+
		"do not retry: tell the user, and wait", e.ConnectionID, e.Reason)
}

// AttentionRequired says that a connection was well and is not any more, or that a person said no a moment ago: a person must consent
// again, or correct the profile.
//
// With a link it is a ConsentRequired too: [errors.As] finds both. Without a link the daemon answered FAILED_PRECONDITION; then it wraps
// an [Error].
type AttentionRequired struct {
	// Reason is the word of the connection's problem, for example reauth_required, or that of the error, for example
	// PROVIDER_MISCONFIGURED.
	Reason string
	// Consent is the link; nil when there is none.
	Consent *ConsentRequired
	// Err is what was answered; nil when there is a link.
	Err *Error
}

func (e *AttentionRequired) Error() string {
	if e.Consent != nil {
		return e.Consent.Error()
	}
	return e.Err.Error()
}

// Unwrap answers Consent, or else Err.
func (e *AttentionRequired) Unwrap() error {
	if e.Consent != nil {
		return e.Consent
	}
	return e.Err
}

// ConsentDenied says that [Client.Acquire] showed a link, and that the person or the provider said no. It is an AttentionRequired with the
// reason access_denied, and a ConsentRequired, too: [errors.As] finds all.
type ConsentDenied struct {
	// Consent is another link, which was shown to nobody yet: ask again when the person wants to.
	Consent *ConsentRequired
}

func (e *ConsentDenied) Error() string {
	return fmt.Sprintf("nexus: the person or the provider said no to connection %s (%s)", e.Consent.ConnectionID, e.Consent.Reason)
}

// Unwrap answers the same as an AttentionRequired.
func (e *ConsentDenied) Unwrap() error {
	return &AttentionRequired{Reason: e.Consent.Reason, Consent: e.Consent}
}

func consentError(answer *nexusv1.ConsentRequired, scopes []string) error {
	consent := &ConsentRequired{
		AuthURL:                 answer.GetAuthUrl(),
		VerificationURI:         answer.GetVerificationUri(),
		UserCode:                answer.GetUserCode(),
		VerificationURIComplete: answer.GetVerificationUriComplete(),
		Scopes:                  scopes,
		ConnectionID:            answer.GetConnectionId(),
		Reason:                  answer.GetReason(),
	}
	if expiresAt := answer.GetExpiresAt(); expiresAt != nil {
		consent.ExpiresAt = expiresAt.AsTime()
	}
	switch consent.Reason {
	case "not_connected", "scopes_missing", "authentication_insufficient":
		return consent
	}
	return &AttentionRequired{Reason: consent.Reason, Consent: consent}
}

// statusError makes the typed error of a call that failed.
func statusError(err error) error {
	if err == nil {
		return nil
	}
	answered := status.Convert(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		answered = status.FromContextError(err)
	}
	known := &Error{Code: answered.Code(), Message: answered.Message(), status: answered}
	var retryAfter time.Duration
	for _, detail := range answered.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			known.Reason = detail.GetReason()
		case *errdetails.RetryInfo:
			retryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	switch known.Code {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return &Unavailable{RetryAfter: retryAfter, Err: known}
	case codes.FailedPrecondition:
		return &AttentionRequired{Reason: known.Reason, Err: known}
	}
	return known
}
