package nexus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

func TestAHitAsksNobody(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		for range 100 {
			wants(t, daemon, client, "one", 1)
		}
		stream := <-daemon.streams
		if stream.request.GetPosition() != nil || len(stream.request.GetNames()) != 1 {
			t.Errorf("the stream was opened with %v", stream.request)
		}
		stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(5))
		stream.says(state("c1", 2, aToken("two", 2, time.Hour)))
		wants(t, daemon, client, "two", 1)
		if token, err := client.Token(t.Context(), " GitHub ", "ada"); err != nil || token.Revision != 2 {
			t.Errorf("another writing of the name: %v, %v", token, err)
		}
	})
}

func TestManyWhoAskAtOnceShareACall(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		answer := make(chan struct{})
		daemon.acquires(func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			<-answer
			return tokenAnswer(aToken("one", 1, time.Hour)), nil
		})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := client.Token(t.Context(), "github", "ada"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(answer)
		all.Wait()
		wants(t, daemon, client, "one", 1)
	})
}

func TestWhileTheStreamLivesNoClockIsAsked(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, -time.Hour))
		wants(t, daemon, client, "one", 1)
		wants(t, daemon, client, "one", 2) // until its stream tells
		stream := <-daemon.streams
		stream.says(state("c1", 1, aToken("one", 1, -time.Hour)), bookmark(1))
		time.Sleep(5 * time.Second)
		wants(t, daemon, client, "one", 2)
		stream.end <- nil
		synctest.Wait()
		wants(t, daemon, client, "one", 3)
	})
}

func TestATokenIsUsedUntilItExpiresWhileTheDaemonIsAway(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, 10*time.Minute))
		wants(t, daemon, client, "one", 1)
		(<-daemon.streams).says(state("c1", 1, aToken("one", 1, 10*time.Minute)), bookmark(1))
		daemon.server.Stop()
		synctest.Wait()
		wants(t, daemon, client, "one", 1)
		time.Sleep(2 * 10 * time.Minute)
		begin := time.Now()
		_, err := client.Token(t.Context(), "github", "ada")
		if unavailable := new(Unavailable); !errors.As(err, &unavailable) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestWhatTakesATokenAway(t *testing.T) {
	for name, messages := range map[string][]*nexusv1.WatchTokensResponse{
		"a state without token": {state("c1", 1, nil)},
		"removed":               {removed("c1")},
		"a snapshot that does not name it": {
			{Event: &nexusv1.WatchTokensResponse_Reset_{Reset_: &nexusv1.Reset{}}}, bookmark(9),
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
				daemon.answers(aToken("one", 1, time.Hour))
				wants(t, daemon, client, "one", 1)
				stream := <-daemon.streams
				stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
				stream.says(messages...)
				wants(t, daemon, client, "one", 2)
			})
		})
	}
}

func TestTheStreamCatchesUpWithAnAnswer(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		wants(t, daemon, client, "one", 1)
		stream := <-daemon.streams
		stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
		daemon.answers(aToken("three", 3, 3*time.Hour))
		if _, err := client.Token(t.Context(), "github", "ada", MinTTL(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		stream.says(state("c1", 2, aToken("two", 2, time.Hour)))
		wants(t, daemon, client, "three", 2)
		stream.says(state("c1", 3, aToken("three", 3, 3*time.Hour)), state("c1", 4, aToken("four", 4, time.Hour)))
		wants(t, daemon, client, "four", 2)
	})
}

func TestAnAnswerThatTheStreamOvertookIsNotTaken(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		wants(t, daemon, client, "one", 1)
		stream := <-daemon.streams
		stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
		daemon.acquires(func(ctx context.Context, _ *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			passes(ctx, time.Second)
			return tokenAnswer(aToken("two", 2, time.Hour)), nil
		})
		time.AfterFunc(time.Second/2, func() { stream.send <- state("c1", 3, aToken("three", 3, time.Hour)) })
		token, err := client.Token(t.Context(), "github", "ada", MinTTL(2*time.Hour))
		if err != nil || token.Revision != 2 {
			t.Error(token, err)
		}
		wants(t, daemon, client, "three", 2)
	})
}

func TestANameBeyondTheStreamIsNotCached(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		for n := range maxNames {
			if _, err := client.Token(t.Context(), "github", fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
		wants(t, daemon, client, "one", maxNames+1)
		wants(t, daemon, client, "one", maxNames+2)
		if names := (<-daemon.streams).request.GetNames(); len(names) != maxNames {
			t.Errorf("the stream was opened with %d names", len(names))
		}
	})
}

func TestARefusedStreamTakesAllAway(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		wants(t, daemon, client, "one", 1)
		stream := <-daemon.streams
		stream.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
		stream.end <- status.Error(codes.PermissionDenied, "no")
		synctest.Wait()
		wants(t, daemon, client, "one", 2)
	})
}

func TestTheTokenOfAPersonWhoConsentedComesByTheStream(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.acquires(func(context.Context, *nexusv1.AcquireTokenRequest) (*nexusv1.AcquireTokenResponse, error) {
			return consentAnswer("https://nexus.example/1", "not_connected"), nil
		})
		if _, err := client.Token(t.Context(), "github", "ada"); err == nil {
			t.Fatal("there was no link")
		}
		(<-daemon.streams).says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
		wants(t, daemon, client, "one", 1)
	})
}

func TestALowerRevisionOfAnotherConnectionCountsOnceAllIsTold(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("seven", 7, time.Hour))
		wants(t, daemon, client, "seven", 1)
		// Meanwhile that connection was deleted, and the person consented to another one.
		(<-daemon.streams).says(state("c2", 1, aToken("one", 1, time.Hour)), bookmark(1))
		wants(t, daemon, client, "one", 1)
	})
}

func TestANewNameOpensAStreamWithAllNames(t *testing.T) {
	play(t, func(t *testing.T, daemon *fakeDaemon, client *Client) {
		daemon.answers(aToken("one", 1, time.Hour))
		wants(t, daemon, client, "one", 1)
		first := <-daemon.streams
		first.says(state("c1", 1, aToken("one", 1, time.Hour)), bookmark(1))
		if _, err := client.Token(t.Context(), "github", "bob"); err != nil {
			t.Fatal(err)
		}
		second := <-daemon.streams
		if second.request.GetPosition() != nil || len(second.request.GetNames()) != 2 {
			t.Errorf("the second stream was opened with %v", second.request)
		}
		first.says(state("c1", 2, aToken("two", 2, time.Hour))) // it goes on until the new one speaks
		wants(t, daemon, client, "two", 2)
		second.says(state("c1", 2, aToken("two", 2, time.Hour)))
		<-first.gone
		second.says(bookmark(2))
		second.end <- nil
		third := <-daemon.streams
		if third.request.GetPosition().GetRevision() != 2 {
			t.Errorf("the third stream was opened with %v", third.request)
		}
	})
}
