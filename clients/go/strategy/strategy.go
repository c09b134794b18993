// Package strategy puts the credential of a connection into a request, as the Strategy beside it says: a header, a parameter of the
// query, HTTP Basic, an HMAC over the body, or AWS Signature Version 4.
//
// [nexus.Token.Apply] does it for a request of net/http. Apply is for clients that have requests of their own.
//
// [nexus.Token.Apply]: https://pkg.go.dev/github.com/nexusd/nexusd/clients/go#Token.Apply
package strategy

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// Request is what a credential is put into.
type Request struct {
	// Method is the HTTP method.
	Method string
	// URL is absolute and percent-encoded, as it goes over the wire: AWS signatures cover it, and nothing of it is written anew.
	URL string
	// Header holds the headers of the request. Apply sets those of the credential.
	Header http.Header
	// Body is what will be sent. HMAC and AWS signatures cover it.
	Body []byte
}

// BodyHash says how an AWS signature covers the body.
type BodyHash int

const (
	// HeaderHash sends the hash of the body as X-Amz-Content-Sha256 too, which S3 and some others demand and all accept.
	HeaderHash BodyHash = iota
	// SignedHash signs the hash of the body and sends no header.
	SignedHash
	// UnsignedPayload leaves the body out of the signature, which S3 takes over TLS.
	UnsignedPayload
)

// Options of Apply.
type Options struct {
	// Time is the time of an AWS signature; zero means now.
	Time time.Time
	// BodyHash says how an AWS signature covers the body.
	BodyHash BodyHash
	// Proof is what CreateProof answered for this very request: required where the token is bound to a key (DPoP, RFC 9449).
	Proof string
}

// Apply puts the credentials into the request as the strategy says. The error is an *[Error]; then the request is as it was.
func Apply(s *nexusv1.Strategy, credentials map[string]string, request *Request, options Options) error {
	switch kind := s.GetKind().(type) {
	case *nexusv1.Strategy_Oauth2:
		prefix := "Bearer "
		if kind.Oauth2.ValuePrefix != nil {
			prefix = kind.Oauth2.GetValuePrefix()
		}
		field := SingleField(s)
		if NeedsProof(s) {
			if err := checkProof(options.Proof); err != nil {
				return err
			}
			if err := setHeader(request, or(kind.Oauth2.GetHeaderName(), "Authorization"), prefix, field, credentials); err != nil {
				return err
			}
			request.Header.Set("DPoP", options.Proof)
			return nil
		}
		return setHeader(request, or(kind.Oauth2.GetHeaderName(), "Authorization"), prefix, field, credentials)
	case *nexusv1.Strategy_Header:
		field := SingleField(s)
		return setHeader(request, or(kind.Header.GetHeaderName(), "Authorization"), kind.Header.GetValuePrefix(), field, credentials)
	case *nexusv1.Strategy_QueryParam:
		return setQueryParam(request, kind.QueryParam, credentials)
	case *nexusv1.Strategy_BasicAuth:
		return setBasic(request, kind.BasicAuth, credentials)
	case *nexusv1.Strategy_HmacPayload:
		return setHMAC(request, kind.HmacPayload, credentials)
	case *nexusv1.Strategy_AwsSigv4:
		return signAWS(request, kind.AwsSigv4, credentials, options)
	}
	return &Error{InvalidStrategy, "strategy", "is of no kind that is known here"}
}

// CoversBody tells whether the credential depends on the body, so that the whole of it must be there.
func CoversBody(s *nexusv1.Strategy) bool {
	return s.GetHmacPayload() != nil || s.GetAwsSigv4() != nil
}

// SingleField is the field of the one credential that the strategy sends as it is; empty for those that send several.
func SingleField(s *nexusv1.Strategy) string {
	switch kind := s.GetKind().(type) {
	case *nexusv1.Strategy_Oauth2:
		return or(kind.Oauth2.GetCredentialField(), "access_token")
	case *nexusv1.Strategy_Header:
		return or(kind.Header.GetCredentialField(), "api_key")
	case *nexusv1.Strategy_QueryParam:
		return or(kind.QueryParam.GetCredentialField(), "api_key")
	}
	return ""
}

// NeedsProof tells whether the token is bound to a key, so that each request needs a proof beside it (RFC 9449 section 7.1).
func NeedsProof(s *nexusv1.Strategy) bool {
	return strings.EqualFold(strings.TrimRight(s.GetOauth2().GetValuePrefix(), " "), "DPoP")
}

// jwt is the form of a proof (RFC 7515 section 3.1).
var jwt = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`)

func checkProof(proof string) error {
	switch {
	case proof == "":
		return &Error{MissingCredential, "proof", "is required: the token is bound to a key (DPoP), and CreateProof makes it"}
	case !jwt.MatchString(proof):
		return &Error{InvalidCredential, "proof", "must be a JWT, as CreateProof returns it"}
	}
	return nil
}

func setHeader(request *Request, name, prefix, field string, credentials map[string]string) error {
	if err := checkHeaderName(name); err != nil {
		return err
	}
	value, err := read(credentials, field)
	if err != nil {
		return err
	}
	if err := checkHeaderValue(prefix+value, field); err != nil {
		return err
	}
	request.Header.Set(name, prefix+value)
	return nil
}

func setQueryParam(request *Request, s *nexusv1.QueryParamStrategy, credentials map[string]string) error {
	if s.GetParamName() == "" {
		return &Error{InvalidStrategy, "param_name", "is required"}
	}
	value, err := read(credentials, or(s.GetCredentialField(), "api_key"))
	if err != nil {
		return err
	}
	request.URL = withQueryParam(request.URL, s.GetParamName(), value)
	return nil
}

// setBasic follows RFC 7617 section 2, with the charset of section 2.1. Both parts may be empty.
func setBasic(request *Request, s *nexusv1.BasicAuthStrategy, credentials map[string]string) error {
	parts := [2]string{or(s.GetUsernameField(), "username"), or(s.GetPasswordField(), "password")}
	for i, field := range parts {
		value, isThere := credentials[field]
		if !isThere {
			return &Error{MissingCredential, field, "the credentials have no such field"}
		}
		if err := checkControls(value, field); err != nil {
			return err
		}
		if i == 0 && strings.Contains(value, ":") {
			return &Error{InvalidCredential, field, "must not hold a colon: Basic credentials end the user name at it"}
		}
		parts[i] = value
	}
	request.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(parts[0]+":"+parts[1])))
	return nil
}

// setHMAC follows RFC 2104 over the bytes of the body; a request without one signs nothing.
func setHMAC(request *Request, s *nexusv1.HmacPayloadStrategy, credentials map[string]string) error {
	if err := checkHeaderName(s.GetHeaderName()); err != nil {
		return err
	}
	hashes := map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}
	newHash, isKnown := hashes[or(s.GetAlgo(), "sha256")]
	if !isKnown {
		return &Error{InvalidStrategy, "algo", "must be one of sha256, sha1, sha512"}
	}
	encodings := map[string]func([]byte) string{"hex": hex.EncodeToString, "base64": base64.StdEncoding.EncodeToString}
	encode, isKnown := encodings[or(s.GetEncoding(), "hex")]
	if !isKnown {
		return &Error{InvalidStrategy, "encoding", "must be one of hex, base64"}
	}
	secret, err := read(credentials, or(s.GetSecretField(), "api_secret"))
	if err != nil {
		return err
	}
	sum := hmac.New(newHash, []byte(secret))
	sum.Write(request.Body)
	request.Header.Set(s.GetHeaderName(), encode(sum.Sum(nil)))
	return nil
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
