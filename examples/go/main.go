// Command agent always holds its current tokens: it keeps WatchTokens open, whatever happens to the daemon. It follows
// the rules for clients in the comment of WatchTokens (proto/nexus/v1/token.proto).
package main

//go:generate ../../node_modules/.bin/buf generate

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	nexusv1 "nexus.example/agent/gen/nexus/v1"
)

// While no connection can be had, a call that waits for one is subject to this backoff. By default it grows to two
// minutes.
var connectParams = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: firstDelay, Multiplier: 1.6, Jitter: 1, MaxDelay: longestDelay},
	MinConnectTimeout: 5 * time.Second,
}

func main() {
	address := flag.String("address", defaultAddress(), "unix:PATH or http(s)://HOST:PORT (NEXUS_ADDRESS)")
	apiURL := flag.String("call", "", "an API to call with each new token")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: agent [--address A] [--call URL] [ids of connections; none means all]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, flag.Args(), *apiURL); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string, connectionIDs []string, apiURL string) error {
	target, isTCP := strings.CutPrefix(address, "http://")
	transport := insecure.NewCredentials()
	if secure, isTLS := strings.CutPrefix(address, "https://"); isTLS {
		var err error
		if transport, err = tlsCredentials(); err != nil {
			return err
		}
		// A client certificate says who calls; without one the key does.
		target, isTCP = secure, os.Getenv("NEXUS_CLIENT_CERT_FILE") == ""
	}
	if isTCP {
		key, err := os.ReadFile(os.Getenv("NEXUS_API_KEY_FILE"))
		if err != nil {
			return fmt.Errorf("NEXUS_API_KEY_FILE: %w", err)
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(key)))
	}
	conn, err := grpc.NewClient(strings.TrimSuffix(target, "/"),
		grpc.WithTransportCredentials(transport), grpc.WithConnectParams(connectParams))
	if err != nil {
		return err
	}
	defer conn.Close()

	fmt.Println("connecting to", address)
	tokens := &holder{states: map[string]*nexusv1.TokenState{}}
	called := map[string]uint64{} // the revision that the API was last called with
	return tokens.watch(ctx, nexusv1.NewTokenServiceClient(conn), connectionIDs, func(message *nexusv1.WatchTokensResponse) {
		fmt.Println(describe(message))
		id := message.GetState().GetConnectionId()
		token := tokens.token(id)
		if apiURL == "" || token == nil || called[id] == token.GetRevision() {
			return
		}
		called[id] = token.GetRevision()
		go func() { fmt.Printf("%s  API answered %s\n", id, callAPI(ctx, apiURL, token)) }()
	})
}

// tlsCredentials trusts the CAs of NEXUS_CA_FILE (else the system's) and shows the certificate of NEXUS_CLIENT_CERT_FILE.
func tlsCredentials() (credentials.TransportCredentials, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := os.Getenv("NEXUS_CA_FILE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("NEXUS_CA_FILE: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("NEXUS_CA_FILE holds no certificate")
		}
	}
	if path := os.Getenv("NEXUS_CLIENT_CERT_FILE"); path != "" {
		pair, err := tls.LoadX509KeyPair(path, os.Getenv("NEXUS_CLIENT_KEY_FILE"))
		if err != nil {
			return nil, fmt.Errorf("NEXUS_CLIENT_CERT_FILE: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
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

func callAPI(ctx context.Context, url string, token *nexusv1.Token) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	apply(token, request.Header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	response.Body.Close()
	return response.Status
}

// apply sets the header that carries the token.
func apply(token *nexusv1.Token, header http.Header) {
	strategy := token.GetStrategy().GetOauth2()
	header.Set(strategy.GetHeaderName(), strategy.GetValuePrefix()+token.GetCredentials()[strategy.GetCredentialField()])
}

func defaultAddress() string {
	if address := os.Getenv("NEXUS_ADDRESS"); address != "" {
		return address
	}
	home, _ := os.UserHomeDir()
	dataHome := cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(home, ".local", "share"))
	return "unix:" + filepath.Join(dataHome, "nexusd", "nexus.sock")
}
