// Command testdriver lets test/clients play its cases with the library: requests come as lines of JSON on standard input, answers go to
// standard output (test/clients/PROTOCOL.md).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	nexus "github.com/nexusd/nexusd/clients/go"
	"github.com/nexusd/nexusd/clients/go/internal/wallclock"
)

// request is a line of the input, with the fields of all operations.
type request struct {
	ID     int    `json:"id"`
	Op     string `json:"op"`
	Target int    `json:"target"`
	Count  int    `json:"count"`

	Options struct {
		Address       string `json:"address"`
		APIKeyFile    string `json:"api_key_file"`
		ClockOffsetMs int64  `json:"clock_offset_ms"`
	} `json:"options"`

	Provider   string   `json:"provider"`
	User       string   `json:"user"`
	Label      string   `json:"label"`
	Scopes     []string `json:"scopes"`
	OnlyScopes bool     `json:"only_scopes"`
	MinTTLMs   int64    `json:"min_ttl_ms"`
	DeadlineMs int64    `json:"deadline_ms"`
	ReturnURL  string   `json:"return_url"`

	Via     string            `json:"via"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body"`

	Address string `json:"address"`
	CAFile  string `json:"ca_file"`

	Strategy    json.RawMessage   `json:"strategy"`
	Credentials map[string]string `json:"credentials"`
	Request     httpRequest       `json:"request"`
	TimeMs      *int64            `json:"time_ms"`
	BodyHash    string            `json:"body_hash"`
}

type httpRequest struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body,omitempty"`
}

type object map[string]any

var errNotImplemented = errors.New("no such operation")

type driver struct {
	mu     sync.Mutex
	out    *json.Encoder
	under  map[int]context.CancelFunc
	client *nexus.Client
}

func main() {
	d := &driver{out: json.NewEncoder(os.Stdout), under: map[int]context.CancelFunc{}}
	var serving sync.WaitGroup
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 16<<20)
	for input.Scan() {
		var line request
		if err := json.Unmarshal(input.Bytes(), &line); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		ctx, cancel := context.WithCancel(context.Background())
		d.mu.Lock()
		d.under[line.ID] = cancel
		d.mu.Unlock()
		if line.Op == "open" { // those after it need the client
			d.serve(ctx, &line)
		} else {
			serving.Go(func() { d.serve(ctx, &line) })
		}
	}
	if d.client != nil {
		_ = d.client.Close()
	}
	serving.Wait()
}

func (d *driver) serve(ctx context.Context, line *request) {
	result, err := d.do(ctx, line)
	answer := object{"id": line.ID}
	if err != nil {
		answer["error"] = describe(err)
	} else {
		answer["result"] = result
	}
	d.write(answer)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.under[line.ID]()
	delete(d.under, line.ID)
}

func (d *driver) write(answer object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.out.Encode(answer)
}

func (d *driver) do(ctx context.Context, line *request) (any, error) {
	switch line.Op {
	case "open":
		return object{}, d.open(line)
	case "close":
		return object{}, d.client.Close()
	case "cancel":
		d.mu.Lock()
		defer d.mu.Unlock()
		if cancel := d.under[line.Target]; cancel != nil {
			cancel()
		}
		return object{}, nil
	case "token":
		ctx, cancel := line.context(ctx)
		defer cancel()
		return tokenResult(d.client.Token(ctx, line.Provider, line.User, line.tokenOptions()...))
	case "acquire":
		ctx, cancel := line.context(ctx)
		defer cancel()
		show := nexus.OnConsent(func(consent *nexus.ConsentRequired) {
			event := object{"id": line.ID, "event": "consent"}
			d.write(withConsent(event, consent))
		})
		return tokenResult(d.client.Acquire(ctx, line.Provider, line.User, append(line.tokenOptions(), show)...))
	case "hot":
		return d.hot(ctx, line)
	case "hooks":
		return object{"hooks": []string{"transport"}}, nil
	case "request":
		return d.request(ctx, line)
	case "grpc":
		return d.grpc(ctx, line)
	case "apply":
		return apply(line)
	}
	return nil, errNotImplemented
}

func (d *driver) open(line *request) (err error) {
	wallclock.SetOffset(time.Duration(line.Options.ClockOffsetMs) * time.Millisecond)
	d.client, err = nexus.New(nexus.Address(line.Options.Address), nexus.APIKeyFile(line.Options.APIKeyFile))
	return err
}

func (line *request) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if line.DeadlineMs == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(line.DeadlineMs)*time.Millisecond)
}

func (line *request) tokenOptions() []nexus.TokenOption {
	scopes := nexus.Scopes
	if line.OnlyScopes {
		scopes = nexus.OnlyScopes
	}
	return []nexus.TokenOption{
		nexus.Label(line.Label), scopes(line.Scopes...), nexus.ReturnURL(line.ReturnURL),
		nexus.MinTTL(time.Duration(line.MinTTLMs) * time.Millisecond),
	}
}

func tokenResult(token *nexus.Token, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	result := object{"credentials": token.Credentials, "access_token": nil, "revision": token.Revision, "expires_at_ms": nil}
	if accessToken := token.AccessToken(); accessToken != "" {
		result["access_token"] = accessToken
	}
	if !token.ExpiresAt.IsZero() {
		result["expires_at_ms"] = token.ExpiresAt.UnixMilli()
	}
	return result, nil
}

func (d *driver) hot(ctx context.Context, line *request) (any, error) {
	revisions := []uint64{}
	start := time.Now()
	for range line.Count {
		token, err := d.client.Token(ctx, line.Provider, line.User)
		if err != nil {
			return nil, err
		}
		if n := len(revisions); n == 0 || revisions[n-1] != token.Revision {
			revisions = append(revisions, token.Revision)
		}
	}
	elapsed := time.Since(start)
	return object{"calls": line.Count, "elapsed_ms": elapsed.Seconds() * 1000, "revisions": revisions}, nil
}
