package nexus

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// holding is a client whose cache has the token, with no daemon.
func holding(b *testing.B) *Client {
	conn, err := grpc.NewClient("passthrough:///nobody", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	client := newClient(conn, "bufconn")
	b.Cleanup(func() { _ = client.Close() })
	ada := newName("github", "ada", "")
	client.cache.expects(ada)
	client.cache.answered(ada, TokenOf(aToken("one", 1, time.Hour)), nil, 0)
	return client
}

func BenchmarkToken(b *testing.B) {
	client := holding(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Token(context.Background(), "github", "ada"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokenInParallel(b *testing.B) {
	client := holding(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Token(context.Background(), "github", "ada"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestAHitAllocatesNothing(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		wants(t, daemon, client, "one", 1)
		allocations := testing.AllocsPerRun(100, func() { _, _ = client.Token(t.Context(), "github", "ada") })
		if allocations != 0 {
			t.Errorf("a hit allocates %v times", allocations)
		}
	})
}
