package nexus

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// longestWait of one call of AcquireToken: the daemon takes up to 60 s.
	longestWait = 45 * time.Second
	// answerTime is what a call may take beyond its wait.
	answerTime = 10 * time.Second
	// shortestWait: with less time left until the caller's deadline another call is not worth it.
	shortestWait = 100 * time.Millisecond
)

// Acquire is Token that waits for a person: it calls [OnConsent] with the link, and with another one when the first can no longer be
// opened, until there is a token or ctx ends. The daemon may restart meanwhile. Without OnConsent it answers as Token does.
//
// Errors: [*ConsentDenied] when the person, or the provider, says no to what was shown; and those of Token.
func (c *Client) Acquire(ctx context.Context, provider, user string, options ...TokenOption) (token *Token, err error) {
	deadline, _ := ctx.Deadline()
	patience := time.Until(deadline).Round(100 * time.Millisecond).Seconds()
	r := newRequest(provider, user, options)
	token, err = c.token(ctx, r)
	if r.onConsent == nil {
		return token, err
	}
	shown := ""
	defer func() {
		if shown != "" && errors.Is(err, context.DeadlineExceeded) {
			err = statusError(status.Errorf(codes.DeadlineExceeded, "%s did not consent to %s within %g s", user, provider, patience))
		}
	}()
	for failures := 0; ; {
		var consent *ConsentRequired
		var unavailable *Unavailable
		switch {
		case err == nil:
			return token, nil
		case errors.As(err, &consent):
			failures = 0
			if instruction := consent.Instruction(); instruction != shown {
				if shown != "" && consent.Reason == "access_denied" { // who shows the next link by itself would do so without end
					return nil, &ConsentDenied{Consent: consent}
				}
				shown = instruction
				r.onConsent(consent)
			}
		case shown != "" && errors.As(err, &unavailable):
			if err := c.pause(ctx, max(unavailable.RetryAfter, fullJitter(failures))); err != nil {
				return nil, err
			}
			failures++
		default:
			return nil, err
		}
		token, err = c.askWaiting(ctx, r)
	}
}

// askWaiting is one call of AcquireToken that waits for the person.
func (c *Client) askWaiting(ctx context.Context, r *request) (*Token, error) {
	wait := longestWait
	if deadline, isSet := ctx.Deadline(); isSet {
		left := time.Until(deadline)
		if left < shortestWait {
			return nil, c.pause(ctx, time.Hour) // that is, until ctx ends
		}
		wait = min(wait, left*4/5) // the deadline of the call must be later
	}
	call, cancel := context.WithTimeout(ctx, wait+answerTime)
	defer cancel()
	token, err := c.ask(call, r, wait)
	if ctx.Err() != nil {
		return nil, statusError(status.FromContextError(ctx.Err()).Err())
	}
	if errors.Is(err, context.DeadlineExceeded) { // that of the call: the path to the daemon is dead
		return nil, statusError(status.Error(codes.Unavailable, "the daemon did not answer in time"))
	}
	return token, err
}

// pause waits; the error is that of ctx, or of a client that is closed.
func (c *Client) pause(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		if ctx.Err() == nil {
			return nil
		}
	case <-ctx.Done():
	case <-c.ctx.Done():
		return statusError(status.FromContextError(context.Canceled).Err())
	}
	return statusError(status.FromContextError(ctx.Err()).Err())
}
