// Command agent calls an API every second on behalf of users. It prints what came of it whenever that changes, and never a token.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	nexus "github.com/nexusd/nexusd/clients/go"
)

func main() {
	address := flag.String("address", "", "unix:PATH or http(s)://HOST:PORT (NEXUS_ADDRESS)")
	apiURL := flag.String("call", "", "the API to call")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: agent [--address A] --call URL PROVIDER/USER...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *apiURL == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *apiURL, flag.Args()); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, apiURL string, names []string) error {
	client, err := nexus.New(nexus.Address(address))
	if err != nil {
		return err
	}
	defer client.Close()
	failed := make(chan error)
	for _, name := range names {
		go func() { failed <- work(ctx, client, apiURL, name) }()
	}
	return <-failed
}

// work answers what another attempt does not fix.
func work(ctx context.Context, client *nexus.Client, apiURL, name string) error {
	provider, user, _ := strings.Cut(name, "/")
	api := &http.Client{Transport: client.Transport(provider, user), Timeout: 10 * time.Second}
	show := nexus.OnConsent(func(c *nexus.ConsentRequired) { fmt.Printf("%s  open %s\n", name, c.AuthURL) })
	last := ""
	for second := time.NewTicker(time.Second); ; <-second.C {
		line, err := call(ctx, client, api, apiURL, provider, user, show)
		var unavailable *nexus.Unavailable
		switch {
		case errors.As(err, &unavailable):
			line = err.Error()
		case err != nil:
			return err
		}
		if line != last {
			fmt.Printf("%s  %s\n", name, line)
		}
		last = line
	}
}

func call(ctx context.Context, client *nexus.Client, api *http.Client, apiURL, provider, user string, show nexus.TokenOption) (string, error) {
	if _, err := client.Acquire(ctx, provider, user, show); err != nil {
		return "", err
	}
	response, err := api.Get(apiURL)
	if err != nil {
		return err.Error(), nil // that of the API: the next second tells more
	}
	_ = response.Body.Close()
	// After the call: it may have got the next token.
	token, err := client.Token(ctx, provider, user)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("revision %d  API answered %d", token.Revision, response.StatusCode), nil
}
