package nexus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewFindsTheDaemon(t *testing.T) {
	folder := t.TempDir()
	keyFile := filepath.Join(folder, "key")
	if err := os.WriteFile(keyFile, []byte("key-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, each := range []struct {
		name        string
		environment map[string]string
		options     []Option
		target      string // or the error
	}{
		{"the user's own", map[string]string{"HOME": "/home/ada"}, nil, "unix:/home/ada/.local/share/nexusd/nexus.sock"},
		{"XDG_DATA_HOME", map[string]string{"XDG_DATA_HOME": "/data"}, nil, "unix:/data/nexusd/nexus.sock"},
		{"NEXUS_DATA_DIR", map[string]string{"NEXUS_DATA_DIR": "/d", "XDG_DATA_HOME": "/data"}, nil, "unix:/d/nexus.sock"},
		{"NEXUS_ADDRESS", map[string]string{"NEXUS_ADDRESS": "unix:/s", "NEXUS_DATA_DIR": "/d"}, nil, "unix:/s"},
		{"the option", map[string]string{"NEXUS_ADDRESS": "unix:/s"}, []Option{Address("unix:/other")}, "unix:/other"},
		{"TCP", map[string]string{"NEXUS_ADDRESS": "http://127.0.0.1:8090/", "NEXUS_API_KEY_FILE": keyFile}, nil, "dns:///127.0.0.1:8090"},
		{"a key in the environment", map[string]string{"NEXUS_API_KEY": "k"}, []Option{Address("http://[::1]:8090")}, "dns:///[::1]:8090"},
		{"TLS", nil, []Option{Address("https://nexus.example"), APIKey("k")}, "dns:///nexus.example:443"},
		{"TCP without a key", map[string]string{"NEXUS_DATA_DIR": "/d"}, []Option{Address("http://127.0.0.1:8090")}, "needs a key: set NEXUS_API_KEY_FILE to its file (a daemon of this user has its own in /d/admin.key)"},
		{"no such key file", nil, []Option{Address("http://127.0.0.1:8090"), APIKeyFile("/none")}, "the file of the API key"},
		{"a key with a line break", nil, []Option{Address("http://127.0.0.1:8090"), APIKey("a\nb")}, "characters that a header cannot carry"},
		{"a path", nil, []Option{Address("http://127.0.0.1:8090/v1"), APIKey("k")}, `the address "http://127.0.0.1:8090/v1" must be unix:/path`},
		{"another scheme", nil, []Option{Address("ftp://127.0.0.1"), APIKey("k")}, `the address "ftp://127.0.0.1" must be`},
		{"a password", nil, []Option{Address("http://ada:s3cret@host/x"), APIKey("k")}, "the address must not hold a user name or password"},
		{"no path", nil, []Option{Address("unix:")}, "names no path"},
		{"no such CA", map[string]string{"NEXUS_CA_FILE": "/none"}, []Option{Address("https://nexus.example")}, "NEXUS_CA_FILE"},
	} {
		t.Run(each.name, func(t *testing.T) {
			for _, name := range []string{
				"NEXUS_ADDRESS", "NEXUS_DATA_DIR", "XDG_DATA_HOME", "NEXUS_API_KEY", "NEXUS_API_KEY_FILE", "NEXUS_CA_FILE", "NEXUS_CLIENT_CERT_FILE",
			} {
				t.Setenv(name, each.environment[name])
			}
			if home := each.environment["HOME"]; home != "" {
				t.Setenv("HOME", home)
			}
			client, err := New(each.options...)
			if err != nil {
				if !strings.Contains(err.Error(), each.target) || strings.Contains(err.Error(), "s3cret") {
					t.Error(err)
				}
				return
			}
			defer client.Close()
			if client.conn.Target() != each.target {
				t.Errorf("got %s", client.conn.Target())
			}
		})
	}
}

func TestTheKeyIsReadForEachCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	key := &apiKey{path: path}
	for _, text := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		metadata, err := key.GetRequestMetadata(t.Context())
		if err != nil || metadata["authorization"] != "Bearer "+text {
			t.Error(metadata, err)
		}
	}
}
