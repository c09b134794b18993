package strategy

import "strings"

// Reason says what keeps a strategy from being applied.
type Reason string

const (
	// MissingCredential: the credentials have no such field.
	MissingCredential Reason = "missing_credential"
	// InvalidCredential: the field holds what cannot be sent.
	InvalidCredential Reason = "invalid_credential"
	// InvalidStrategy: the strategy is of no known kind, or a field of it is missing or wrong.
	InvalidStrategy Reason = "invalid_strategy"
	// InvalidRequest: the request cannot be signed.
	InvalidRequest Reason = "invalid_request"
)

// Error says why a strategy cannot be applied. It names the field and what is wanted of it, never a value: that may be a secret.
type Error struct {
	// Reason is one of the constants above.
	Reason Reason
	// Field by its name on the wire, for example access_token or header_name.
	Field string
	// Description is the end of a sentence about the field.
	Description string
}

func (e *Error) Error() string { return "nexus: " + e.Field + ": " + e.Description }

// framing headers say where a message ends, or are for one connection alone: RFC 9110 sections 7.2, 7.6.1, 8.6 and 10.1.1, RFC 9113
// section 8.2.2.
var framing = map[string]bool{
	"connection": true, "content-length": true, "expect": true, "host": true, "http2-settings": true, "keep-alive": true,
	"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
}

func checkHeaderName(name string) error {
	// RFC 9110 section 5.1.
	isToken := name != "" && strings.IndexFunc(name, func(r rune) bool {
		isAlphanumeric := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !isAlphanumeric && (r > '~' || !strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}) < 0
	if !isToken {
		return &Error{InvalidStrategy, "header_name", "must be a header name"}
	}
	if lower := strings.ToLower(name); framing[lower] || strings.HasPrefix(lower, "proxy-") {
		return &Error{InvalidStrategy, "header_name",
			"must be a header of the request itself, not one that belongs to the connection or frames the message"}
	}
	return nil
}

func read(credentials map[string]string, field string) (string, error) {
	value, isThere := credentials[field]
	if !isThere {
		return "", &Error{MissingCredential, field, "the credentials have no such field"}
	}
	if value == "" {
		return "", &Error{InvalidCredential, field, "is empty"}
	}
	return value, nil
}

// checkHeaderValue refuses what could end a header line, and what not every HTTP library sends alike.
func checkHeaderValue(value, field string) error {
	if err := checkControls(value, field); err != nil {
		return err
	}
	if strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return &Error{InvalidCredential, field, "must be printable ASCII: it is sent in a header"}
	}
	return nil
}

func checkControls(value, field string) error {
	if strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
		return &Error{InvalidCredential, field, "must not hold line breaks or other control characters"}
	}
	return nil
}
