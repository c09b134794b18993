package nexus

import (
	"fmt"
	"regexp"
	"strings"
)

// listener says where agents are served.
const listener = "NEXUS_ADDRESS is that of the http listener, by default http://127.0.0.1:8090"

// What grpc-go says of a connection that it could not make, by what it means.
var (
	isUntrusted = regexp.MustCompile(`failed to verify certificate|x509: `)
	isPlain     = regexp.MustCompile(`first record does not look like a TLS handshake`)
	isCut       = regexp.MustCompile(`EOF|connection reset|broken pipe|connection closed before server preface`)
	isHTTP1     = regexp.MustCompile(`server preface|no application protocol|missing selected ALPN|tls: `)
)

// unreachable says why there is no connection to address, and what to do. detail is the message of grpc-go.
func unreachable(address, detail string) string {
	at := "what answers at " + address
	switch {
	case isUntrusted.MatchString(detail):
		return fmt.Sprintf("the certificate of %s is not trusted: set NEXUS_CA_FILE to the file of its CA (%s)", address, detail)
	case isPlain.MatchString(detail):
		return fmt.Sprintf("%s does not speak TLS: is it http:// instead of https://? %s", at, listener)
	case isCut.MatchString(detail):
		return fmt.Sprintf("%s ended the connection without an answer: nexusd ended, or it is another listener, or one with TLS (https://): %s (%s)",
			at, listener, detail)
	case isHTTP1.MatchString(detail):
		return fmt.Sprintf("%s does not speak HTTP/2: %s (%s)", at, listener, detail)
	}
	reason := strings.TrimSuffix(detail[strings.LastIndex(detail, ": ")+1:], `"`) // what is before it has the address again
	return fmt.Sprintf("nexusd cannot be reached at %s: start it with `nexusd serve`, or set NEXUS_ADDRESS (%s)", address, strings.TrimSpace(reason))
}
