package nexus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// dialParams: by default grpc-go's own backoff grows to two minutes. A connection that does not answer a ping is closed before the silence
// of the stream on it is over, so that the next stream gets another one.
var dialParams = []grpc.DialOption{
	grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: dialDelay, Multiplier: 1.6, Jitter: 0.2, MaxDelay: longestDelay},
		MinConnectTimeout: 5 * time.Second,
	}),
	grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}),
	grpc.WithUserAgent("nexus-go"),
}

// dial makes the connection without using it, and tells the address as a person writes it.
func dial(s settings) (*grpc.ClientConn, string, error) {
	address := firstOf(s.address, os.Getenv("NEXUS_ADDRESS"))
	if address == "" {
		folder, err := dataFolder()
		if err != nil {
			return nil, "", err
		}
		address = "unix:" + filepath.Join(folder, "nexus.sock")
	}
	target, transport, err := transportTo(s, address)
	if err != nil {
		return nil, "", err
	}
	conn, err := grpc.NewClient(target, append(dialParams, transport...)...)
	return conn, address, err
}

// transportTo answers the target as grpc-go takes it, and the credentials.
func transportTo(s settings, address string) (string, []grpc.DialOption, error) {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		if path == "" {
			return "", nil, fmt.Errorf("nexus: the address %q names no path", address)
		}
		path, err := filepath.Abs(path)
		return "unix:" + path, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, err
	}
	if strings.Contains(address, "@") { // what would be a password is not repeated
		return "", nil, errors.New("nexus: the address must not hold a user name or password")
	}
	target, err := url.Parse(address)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" ||
		strings.TrimSuffix(target.Path, "/") != "" || target.RawQuery != "" || target.Fragment != "" {
		return "", nil, fmt.Errorf("nexus: the address %q must be unix:/path, http://host:port or https://host:port", address)
	}
	transport, hasCertificate := insecure.NewCredentials(), false
	port := firstOf(target.Port(), "80")
	if target.Scheme == "https" {
		config, err := tlsConfig(s.tls)
		if err != nil {
			return "", nil, err
		}
		transport, hasCertificate = credentials.NewTLS(config), len(config.Certificates) > 0 || config.GetClientCertificate != nil
		port = firstOf(target.Port(), "443")
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	key, err := newAPIKey(s)
	if err != nil {
		return "", nil, err
	}
	if key == nil && !hasCertificate {
		own := "admin.key in its data folder"
		if folder, err := dataFolder(); err == nil {
			own = filepath.Join(folder, "admin.key")
		}
		return "", nil, fmt.Errorf("nexus: %s needs a key: set NEXUS_API_KEY_FILE to its file (a daemon of this user has its own in %s)", address, own)
	}
	if key != nil {
		options = append(options, grpc.WithPerRPCCredentials(key))
	}
	host := target.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "dns:///" + host + ":" + port, options, nil
}

// dataFolder is where a daemon of this user keeps its data.
func dataFolder() (string, error) {
	if folder := os.Getenv("NEXUS_DATA_DIR"); folder != "" {
		return folder, nil
	}
	folder := os.Getenv("XDG_DATA_HOME")
	if folder == "" || runtime.GOOS == "darwin" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("nexus: NEXUS_ADDRESS is not set, and there is no home folder: %w", err)
		}
		folder = filepath.Join(home, ".local", "share")
		if runtime.GOOS == "darwin" {
			folder = filepath.Join(home, "Library", "Application Support")
		}
	}
	return filepath.Join(folder, "nexusd"), nil
}

// tlsConfig trusts the CAs of NEXUS_CA_FILE, else those of the system, and shows the certificate of NEXUS_CLIENT_CERT_FILE.
func tlsConfig(given *tls.Config) (*tls.Config, error) {
	if given != nil {
		return given, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := os.Getenv("NEXUS_CA_FILE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("nexus: NEXUS_CA_FILE: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("nexus: NEXUS_CA_FILE holds no certificate in PEM")
		}
	}
	if path := os.Getenv("NEXUS_CLIENT_CERT_FILE"); path != "" {
		pair, err := tls.LoadX509KeyPair(path, os.Getenv("NEXUS_CLIENT_KEY_FILE"))
		if err != nil {
			return nil, fmt.Errorf("nexus: NEXUS_CLIENT_CERT_FILE, NEXUS_CLIENT_KEY_FILE: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// apiKey goes with each call over TCP. The daemon's own listener speaks without TLS on loopback by default.
type apiKey struct {
	path string // read for each call
	key  string // when there is no path
}

func newAPIKey(s settings) (*apiKey, error) {
	key := &apiKey{path: s.apiKeyFile, key: s.apiKey}
	if key.path == "" && key.key == "" {
		key.path, key.key = os.Getenv("NEXUS_API_KEY_FILE"), os.Getenv("NEXUS_API_KEY")
	}
	if key.path == "" && key.key == "" {
		return nil, nil
	}
	_, err := key.read()
	return key, err
}

func (k *apiKey) read() (string, error) {
	if k.path == "" {
		if !isKey(k.key) {
			return "", errors.New("nexus: the API key holds characters that a header cannot carry")
		}
		return k.key, nil
	}
	data, err := os.ReadFile(k.path)
	if err != nil {
		return "", fmt.Errorf("nexus: the file of the API key: %w", err)
	}
	key := strings.TrimSpace(string(data))
	if !isKey(key) {
		return "", fmt.Errorf("nexus: the file of the API key, %s, holds none", k.path)
	}
	return key, nil
}

func isKey(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (k *apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	key, err := k.read()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + key}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (k *apiKey) RequireTransportSecurity() bool { return false }

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
