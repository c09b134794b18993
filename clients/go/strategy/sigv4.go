package strategy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

const (
	algorithm       = "AWS4-HMAC-SHA256"
	hashHeader      = "X-Amz-Content-Sha256"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	// unsignedTrailer is a body in chunks with a checksum behind them, which no signature covers.
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// plainPath names the services whose canonical path is the path as it is sent, and not encoded once more.
var plainPath = map[string]bool{"s3": true, "s3-outposts": true, "s3-object-lambda": true, "s3express": true}

// unsigned headers are changed on the way, or set by the HTTP library after the signature.
var unsigned = map[string]bool{
	"authorization": true, "cache-control": true, "connection": true, "expect": true, "from": true, "keep-alive": true,
	"max-forwards": true, "pragma": true, "referer": true, "te": true, "trailer": true, "transfer-encoding": true,
	"upgrade": true, "user-agent": true, "x-amzn-trace-id": true,
}

// signAWS follows https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// A URL that is signed already gets no other signature.
func signAWS(request *Request, s *nexusv1.AwsSigV4Strategy, credentials map[string]string, options Options) error {
	if s.GetService() == "" {
		return &Error{InvalidStrategy, "service", "is required"}
	}
	accessKey, secretKey, err := awsKeys(credentials)
	if err != nil {
		return err
	}
	address, err := url.Parse(request.URL)
	if err != nil || address.Host == "" {
		return &Error{InvalidRequest, "url", "must be an absolute URL"}
	}
	before, query, _ := cutURL(request.URL)
	if isPresigned(query) {
		return nil
	}
	now := options.Time
	if now.IsZero() {
		now = time.Now()
	}
	amzDate := now.UTC().Format("20060102T150405Z")

	header := request.Header.Clone()
	header.Del("Authorization")
	header.Del("Date") // the signature has a date of its own
	header.Set("X-Amz-Date", amzDate)
	header.Del("X-Amz-Security-Token")
	if token := credentials["session_token"]; token != "" {
		header.Set("X-Amz-Security-Token", token)
	}
	payload, err := setPayloadHash(header, request.Body, options.BodyHash)
	if err != nil {
		return err
	}
	signedNames, lines := canonicalHeaders(header, address.Host)
	sortedQuery, err := canonicalQuery(query)
	if err != nil {
		return err
	}
	canonical := strings.Join([]string{
		strings.ToUpper(request.Method), canonicalPath(before, s.GetService()), sortedQuery, lines, signedNames, payload,
	}, "\n")

	date, region := amzDate[:8], or(s.GetRegion(), "us-east-1")
	scope := strings.Join([]string{date, region, s.GetService(), "aws4_request"}, "/")
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{date, region, s.GetService(), "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	signature := hmacSHA256(key, strings.Join([]string{algorithm, amzDate, scope, hexSHA256([]byte(canonical))}, "\n"))
	header.Set("Authorization", algorithm+" Credential="+accessKey+"/"+scope+
		", SignedHeaders="+signedNames+", Signature="+hex.EncodeToString(signature))
	clear(request.Header)
	for name, values := range header {
		request.Header[name] = values
	}
	return nil
}

func awsKeys(credentials map[string]string) (accessKey, secretKey string, err error) {
	if accessKey, err = read(credentials, "access_key"); err != nil {
		return "", "", err
	}
	if secretKey, err = read(credentials, "secret_key"); err != nil {
		return "", "", err
	}
	if err = checkHeaderValue(accessKey, "access_key"); err != nil {
		return "", "", err
	}
	return accessKey, secretKey, checkHeaderValue(credentials["session_token"], "session_token")
}

// isPresigned tells whether the URL has a signature of its own, of Version 4 or 2: the API refuses a second one beside it.
func isPresigned(query string) bool {
	names := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		names[strings.ToLower(name)] = true
	}
	return names["x-amz-signature"] || names["signature"] && names["awsaccesskeyid"]
}

func setPayloadHash(header http.Header, body []byte, how BodyHash) (string, error) {
	declared := header.Get(hashHeader)
	if declared == unsignedTrailer {
		return declared, nil
	}
	if strings.HasPrefix(declared, "STREAMING-") {
		const reason = "names chunks that are signed one by one, which were signed with another key: send a plain body"
		return "", &Error{InvalidRequest, strings.ToLower(hashHeader), reason}
	}
	sum := hexSHA256(body)
	switch how {
	case SignedHash:
		header.Del(hashHeader)
	case UnsignedPayload:
		sum = unsignedPayload
		header.Set(hashHeader, sum)
	default:
		header.Set(hashHeader, sum)
	}
	return sum, nil
}

// canonicalHeaders answers the names of the signed headers and their lines.
func canonicalHeaders(header http.Header, host string) (names, lines string) {
	values := map[string]string{"host": host}
	for name, given := range header {
		lower := strings.ToLower(name)
		if unsigned[lower] || strings.HasPrefix(lower, "proxy-") || strings.HasPrefix(lower, "sec-") {
			continue
		}
		values[lower] = strings.Join(strings.Fields(strings.Join(given, ",")), " ")
	}
	sorted := make([]string, 0, len(values))
	for name := range values {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var text strings.Builder
	for _, name := range sorted {
		text.WriteString(name + ":" + values[name] + "\n")
	}
	return strings.Join(sorted, ";"), text.String()
}

// canonicalPath takes the path as it stands in the URL: a parser of URLs would take dots and double slashes from the keys of S3.
func canonicalPath(before, service string) string {
	path := ""
	if _, rest, isAbsolute := strings.Cut(before, "://"); isAbsolute {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			path = rest[i:]
		}
	}
	if path == "" {
		path = "/"
	}
	if plainPath[service] {
		return path
	}
	var segments []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			segments = segments[:max(len(segments)-1, 0)]
		default:
			segments = append(segments, encode(segment))
		}
	}
	normal := "/" + strings.Join(segments, "/")
	if len(segments) > 0 && strings.HasSuffix(path, "/") {
		normal += "/"
	}
	return normal
}

func hmacSHA256(key []byte, text string) []byte {
	sum := hmac.New(sha256.New, key)
	sum.Write([]byte(text))
	return sum.Sum(nil)
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
