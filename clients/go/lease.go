package nexus

import (
	"context"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// Lease is that of an API key.
type Lease struct {
	// Duration is its length.
	Duration time.Duration
	// EndsAt is when it ends unless it is renewed again, by the clock of the daemon.
	EndsAt time.Time
}

// RenewLease renews the lease of the API key that the client uses. Call it whenever a third of the lease has passed: the daemon revokes a key
// whose lease ends.
//
// Errors: [*AttentionRequired] with the reason NO_LEASE for a key without a lease, [ErrUnauthenticated] when the lease has ended, and those
// of [Client.Token].
func (c *Client) RenewLease(ctx context.Context) (Lease, error) {
	if c.ctx.Err() != nil {
		return Lease{}, ErrClosed
	}
	if err := c.connected(ctx, connectPatience, attemptTime); err != nil {
		return Lease{}, statusError(err)
	}
	answer, err := nexusv1.NewAccessServiceClient(c.conn).RenewLease(ctx, &nexusv1.RenewLeaseRequest{})
	if err != nil {
		return Lease{}, statusError(err)
	}
	return Lease{Duration: answer.GetLease().AsDuration(), EndsAt: answer.GetEndsAt().AsTime()}, nil
}
