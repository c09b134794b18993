package nexus

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

const (
	// connectPatience is how long a call waits for a connection to the daemon, as during a restart.
	connectPatience = 4 * time.Second
	// attemptTime is how long it waits before it tries anew. A stream makes one attempt, since it backs off by itself.
	attemptTime = 250 * time.Millisecond
)

// Client gives current tokens. It is safe for concurrent use, and one is enough for a process: all share its connection, its cache and
// its stream. Close ends them.
type Client struct {
	conn    *grpc.ClientConn
	address string // as a person writes it
	tokens  nexusv1.TokenServiceClient
	cache   *cache
	watcher *watcher
	flights flights

	// ctx is the life of the client.
	ctx     context.Context
	close   context.CancelFunc
	closing sync.Once
	closed  error // what the first Close answered
}

// New makes a client of the daemon. It finds the daemon by [Address], else NEXUS_ADDRESS, else the socket in NEXUS_DATA_DIR, else the
// socket of the user's own daemon; and the key for TCP by [APIKeyFile] or [APIKey], else NEXUS_API_KEY_FILE or NEXUS_API_KEY.
// It does not connect: an error is one of the settings.
func New(options ...Option) (*Client, error) {
	var given settings
	for _, option := range options {
		option(&given)
	}
	conn, address, err := dial(given)
	if err != nil {
		return nil, err
	}
	return newClient(conn, address), nil
}

func newClient(conn *grpc.ClientConn, address string) *Client {
	c := &Client{conn: conn, address: address, tokens: nexusv1.NewTokenServiceClient(conn), cache: newCache()}
	c.ctx, c.close = context.WithCancel(context.Background())
	c.watcher = newWatcher(c, c.cache)
	return c
}

// Close ends the stream and the connection. Calls under way end with [context.Canceled], later ones with [ErrClosed].
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.close()
		// From here on nothing starts the watcher; when it was started, it ends.
		c.watcher.start.Do(func() { close(c.watcher.done) })
		<-c.watcher.done
		c.closed = c.conn.Close()
	})
	return c.closed
}

// Conn is the connection to the daemon, for the other services of [nexusv1].
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Token answers the current token of the user at the provider. It comes from the cache, which the stream of WatchTokens keeps current;
// a name that is asked for the first time is asked of the daemon.
//
// Errors: [*ConsentRequired] when a person must open a link first, [*AttentionRequired] when that is needed again, [*Unavailable] when
// there is none now, and [*Error] for the rest. The error of ctx is found by [errors.Is].
func (c *Client) Token(ctx context.Context, provider, user string, options ...TokenOption) (*Token, error) {
	if len(options) == 0 {
		plain := request{name: newName(provider, user, "")}
		if token := c.cached(&plain); token != nil {
			return token, nil
		}
	}
	return c.token(ctx, newRequest(provider, user, options))
}

// cached is the whole of a hit.
func (c *Client) cached(r *request) *Token {
	if c.ctx.Err() != nil {
		return nil
	}
	return c.cache.hit(r)
}

func (c *Client) token(ctx context.Context, r *request) (*Token, error) {
	if c.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if token := c.cached(r); token != nil {
		return token, nil
	}
	return c.flights.share(ctx, r, func(ctx context.Context) (*Token, error) {
		// The flight before this one may have brought it.
		if token := c.cached(r); token != nil {
			return token, nil
		}
		return c.ask(ctx, r, 0)
	})
}

// ask calls AcquireToken, whatever the cache has.
func (c *Client) ask(ctx context.Context, r *request, wait time.Duration) (*Token, error) {
	asked := &nexusv1.AcquireTokenRequest{
		ProviderName: r.name.provider, UserId: r.name.user, Label: r.name.label, Scopes: r.scopes, ReturnUrl: r.returnURL,
		OnlyScopes: r.only,
	}
	if r.minTTL != 0 {
		asked.MinTtl = durationpb.New(r.minTTL)
	}
	if wait > 0 {
		asked.Wait = durationpb.New(wait)
	}
	reports := c.cache.reports(r.name)
	if err := c.connected(ctx, connectPatience, attemptTime); err != nil {
		return nil, statusError(err)
	}
	answer, err := c.tokens.AcquireToken(ctx, asked)
	if err != nil {
		if status.Code(err) == codes.Unavailable && c.conn.GetState() != connectivity.Ready {
			err = status.Error(codes.Unavailable, unreachable(c.address, status.Convert(err).Message()))
		}
		return nil, statusError(err)
	}
	if c.cache.expects(r.name) || c.watcher.isRefused.Load() {
		c.watcher.named(c.ctx)
	}
	if consent := answer.GetConsent(); consent != nil {
		return nil, consentError(consent, nil)
	}
	token := TokenOf(answer.GetToken())
	if token == nil {
		return nil, statusError(status.Error(codes.Unimplemented, "the daemon answered neither a token nor a link: it is newer than this library"))
	}
	c.cache.answered(r.name, token, r.scopes, reports)
	return token, nil
}

// connected waits for a connection, and tries anew whenever attempt is over. Without a connection a call fails at once with what hinders it.
func (c *Client) connected(ctx context.Context, patience, attempt time.Duration) error {
	if c.conn.GetState() == connectivity.Ready {
		return nil
	}
	c.conn.ResetConnectBackoff()
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		state := c.conn.GetState()
		switch state {
		case connectivity.Ready, connectivity.Shutdown:
			return nil
		case connectivity.Idle:
			c.conn.Connect()
		}
		step, cancel := context.WithTimeout(waiting, attempt)
		hasChanged := c.conn.WaitForStateChange(step, state)
		cancel()
		switch {
		case hasChanged:
		case ctx.Err() != nil:
			return ctx.Err()
		case waiting.Err() == nil:
			c.conn.ResetConnectBackoff()
		case c.conn.GetState() == connectivity.TransientFailure:
			return nil
		default:
			return status.Errorf(codes.Unavailable, "no connection to nexusd at %s within %s", c.address, patience)
		}
	}
}
