package nexus

import (
	"crypto/tls"
	"time"
)

// Option is a setting of [New].
type Option func(*settings)

type settings struct {
	address    string
	apiKeyFile string
	apiKey     string
	tls        *tls.Config
}

// Address is where the daemon listens: unix:PATH, http://HOST:PORT or https://HOST:PORT. It stands in for NEXUS_ADDRESS.
func Address(address string) Option { return func(s *settings) { s.address = address } }

// APIKeyFile names the file that holds the API key, instead of NEXUS_API_KEY_FILE. It is read again for each call, so that a key can be
// exchanged. A key is sent over TCP alone: over the Unix socket the user of the process is who calls.
func APIKeyFile(path string) Option { return func(s *settings) { s.apiKeyFile = path } }

// APIKey is the API key itself, instead of NEXUS_API_KEY.
func APIKey(key string) Option { return func(s *settings) { s.apiKey = key } }

// TLSConfig is used for https, instead of NEXUS_CA_FILE, NEXUS_CLIENT_CERT_FILE and NEXUS_CLIENT_KEY_FILE.
func TLSConfig(config *tls.Config) Option { return func(s *settings) { s.tls = config } }

// TokenOption says more about the token that a call asks for.
type TokenOption func(*request)

// request is what one caller asks for.
type request struct {
	name      name
	scopes    []string
	only      bool
	minTTL    time.Duration
	returnURL string
	onConsent func(*ConsentRequired)
}

func newRequest(provider, user string, options []TokenOption) *request {
	r := &request{name: newName(provider, user, "")}
	for _, option := range options {
		option(r)
	}
	return r
}

// Label names a second account of the same user at the same provider, for example "work".
func Label(label string) TokenOption { return func(r *request) { r.name.label = label } }

// Scopes are those that the token must have; without it any will do. A person is asked for those that are missing, and at the first consent
// for the provider's default scopes too.
func Scopes(scopes ...string) TokenOption {
	return func(r *request) { r.scopes, r.only = scopes, false }
}

// OnlyScopes are Scopes without the provider's defaults at the first consent, for a token that may do less.
func OnlyScopes(scopes ...string) TokenOption {
	return func(r *request) { r.scopes, r.only = scopes, true }
}

// MinTTL is how long the token should live at least, at most 24 hours. It is a wish: a provider gives no token a longer life.
func MinTTL(ttl time.Duration) TokenOption { return func(r *request) { r.minTTL = ttl } }

// ReturnURL is where the person's browser is sent after the consent. Its origin must be one of the daemon's NEXUS_ALLOWED_RETURN_URLS.
func ReturnURL(url string) TokenOption { return func(r *request) { r.returnURL = url } }

// OnConsent shows a link to the user of the call: [Client.Acquire] calls it for each new link and then waits. It should not block.
func OnConsent(show func(*ConsentRequired)) TokenOption {
	return func(r *request) { r.onConsent = show }
}
