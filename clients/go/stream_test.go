package nexus

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

func TestDrainAndSilenceAndRefusal(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, 24*time.Hour))
		wants(t, daemon, client, "one", 1)
		stream := <-daemon.streams
		stream.says(state("c1", 1, aToken("one", 1, 24*time.Hour)), bookmark(1), &nexusv1.WatchTokensResponse{
			Event: &nexusv1.WatchTokensResponse_Drain{Drain: &nexusv1.Drain{ReconnectDelay: durationpb.New(7 * time.Second)}},
		})
		begin := time.Now()
		stream.end <- nil
		stream = <-daemon.streams
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("after drain it came back in %s", took)
		}

		begin = time.Now()
		next := <-daemon.streams // since this one says nothing
		if took := time.Since(begin); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the silent stream was given up after %s", took)
		}
		<-stream.gone

		for n := range 6 { // a stream that speaks at last within the silence lives
			passes(t.Context(), 25*time.Second)
			next.says(bookmark(uint64(n)))
		}
		if len(daemon.streams) != 0 {
			t.Error("a stream that speaks was given up")
		}

		away := time.Now()
		for n := range 20 {
			begin = time.Now()
			next.end <- status.Error(codes.Unavailable, "away")
			next = <-daemon.streams
			if took, most := time.Since(begin), min(longestDelay, firstDelay<<(n+1)); took > most {
				t.Errorf("attempt %d came after %s, more than %s", n, took, most)
			}
		}
		if took := time.Since(away); took < 15*time.Second {
			t.Errorf("20 attempts took %s: they do not back off", took)
		}

		next.end <- status.Error(codes.PermissionDenied, "no")
		time.Sleep(time.Hour)
		if len(daemon.streams) != 0 {
			t.Error("what was refused for good was asked for again")
		}
		for _, user := range []string{"bob", "eve"} {
			begin = time.Now()
			if _, err := client.Token(t.Context(), "github", user); err != nil {
				t.Fatal(err)
			}
			(<-daemon.streams).end <- status.Error(codes.PermissionDenied, "no")
			synctest.Wait()
			if took := time.Since(begin); user == "eve" && took < refusedTime-time.Second {
				t.Errorf("it was asked for again after %s", took)
			}
		}
	})
}
