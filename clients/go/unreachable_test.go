package nexus

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnAddressAtWhichNoDaemonAnswersIsToldFromOthers(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.EnableHTTP2 = true
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	// It hears its client out, as a server of SSH does: to close with something unread would reset the connection, and take the banner with it.
	ssh := serves(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "SSH-2.0\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	silent := serves(t, func(net.Conn) {})
	notHTTP2 := "does not speak HTTP/2: " + listener
	for _, each := range []struct{ name, address, says string }{
		{"HTTP/1.1, as the browser listener", plain.URL, notHTTP2},
		{"HTTP/1.1 over TLS", secure.URL, notHTTP2},
		{"another protocol", "http://" + ssh, notHTTP2},
		{"plain text for TLS", "https://" + plain.Listener.Addr().String(), "does not speak TLS: is it http:// instead of https://? " + listener},
		{"TLS for plain text", "http://" + untrusted.Listener.Addr().String(), "or one with TLS (https://): " + listener},
		{"an unknown CA", untrusted.URL, "is not trusted: set NEXUS_CA_FILE"},
		{"nobody, at once", "http://" + silent, "ended the connection without an answer"},
		{"nobody", "unix:/no/such/nexus.sock", "nexusd cannot be reached at unix:/no/such/nexus.sock: start it with `nexusd serve`, or set NEXUS_ADDRESS ("},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			client, err := New(Address(each.address), APIKey("s3cret"))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Token(t.Context(), "github", "ada")
			var unavailable *Unavailable
			if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), each.says) || !strings.Contains(err.Error(), each.address) {
				t.Errorf("%T %s", err, err)
			}
		})
	}
}

// serves gives each connection to answer, and closes it.
func serves(t *testing.T, answer func(net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				answer(conn)
				conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}
