// Command agent always holds its current tokens: it watches connections, whatever happens to the daemon, and calls an API with each new
// token.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	nexus "github.com/nexusd/nexusd/clients/go"
	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

func main() {
	address := flag.String("address", "", "unix:PATH or http(s)://HOST:PORT; by default NEXUS_ADDRESS, or the socket of the daemon")
	apiURL := flag.String("call", "", "an API to call with each new token")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: agent [--address A] [--call URL] [ids of connections; none means all]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, flag.Args(), *apiURL); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string, connectionIDs []string, apiURL string) error {
	client, err := nexus.New(nexus.Address(address))
	if err != nil {
		return err
	}
	defer client.Close()
	called := map[string]uint64{} // the revision that the API was last called with
	for message, err := range client.Watch(ctx, connectionIDs...) {
		if err != nil {
			return err
		}
		fmt.Println(describe(message))
		state := message.GetState()
		if apiURL == "" || state.GetToken() == nil || called[state.GetConnectionId()] == state.GetRevision() {
			continue
		}
		called[state.GetConnectionId()] = state.GetRevision()
		go func() {
			fmt.Printf("%s  API answered %s\n", state.GetConnectionId(), callAPI(ctx, apiURL, nexus.TokenOf(state.GetToken())))
		}()
	}
	return nil
}

// describe makes one line for a person. It never holds a token.
func describe(message *nexusv1.WatchTokensResponse) string {
	switch event := message.GetEvent().(type) {
	case *nexusv1.WatchTokensResponse_State:
		state := event.State
		status := strings.ToLower(strings.TrimPrefix(state.GetStatus().String(), "CONNECTION_STATUS_"))
		line := fmt.Sprintf("%s  %s  revision %d", state.GetConnectionId(), status, state.GetRevision())
		if token := state.GetToken(); token != nil {
			if token.GetExpiresAt() == nil {
				line += "  does not expire"
			} else {
				line += "  expires " + token.GetExpiresAt().AsTime().Format(time.RFC3339)
			}
		}
		return strings.TrimSpace(line + "  " + state.GetProblem().GetReason())
	case *nexusv1.WatchTokensResponse_Removed:
		return event.Removed.GetConnectionId() + "  removed"
	case *nexusv1.WatchTokensResponse_Bookmark:
		return fmt.Sprintf("bookmark %d", event.Bookmark.GetPosition().GetRevision())
	case *nexusv1.WatchTokensResponse_Reset_:
		return "reset: " + event.Reset_.GetReason()
	case *nexusv1.WatchTokensResponse_Drain:
		return "drain"
	default:
		return "a message of a newer daemon"
	}
}

func callAPI(ctx context.Context, url string, token *nexus.Token) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	if err := token.Apply(request); err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	_ = response.Body.Close()
	return response.Status
}
