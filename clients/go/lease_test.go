package nexus

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// fakeKey answers RenewLease.
type fakeKey struct {
	nexusv1.UnimplementedAccessServiceServer
	err error
}

func (k *fakeKey) RenewLease(context.Context, *nexusv1.RenewLeaseRequest) (*nexusv1.RenewLeaseResponse, error) {
	answer := &nexusv1.RenewLeaseResponse{Lease: durationpb.New(time.Minute), EndsAt: timestamppb.New(time.Unix(1_800_000_000, 0))}
	return answer, k.err
}

func TestRenewLeaseAnswersWhenItEndsNow(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		lease, err := client.RenewLease(t.Context())
		if err != nil || lease.Duration != time.Minute || !lease.EndsAt.Equal(time.Unix(1_800_000_000, 0)) {
			t.Errorf("got %v, %v", lease, err)
		}
		daemon.key.err = status.Error(codes.FailedPrecondition, "no lease")
		var attention *AttentionRequired
		if _, err := client.RenewLease(t.Context()); !errors.As(err, &attention) {
			t.Errorf("got %v", err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.RenewLease(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v after Close", err)
		}
	})
}
