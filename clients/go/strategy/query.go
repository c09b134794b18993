package strategy

import (
	"net/url"
	"slices"
	"strings"
)

// cutURL cuts at the marks, each part byte for byte: before, "?" query if there is one, "#" fragment if there is one.
func cutURL(address string) (before, query, fragment string) {
	if i := strings.IndexByte(address, '#'); i >= 0 {
		address, fragment = address[:i], address[i:]
	}
	before, query, _ = strings.Cut(address, "?")
	return before, query, fragment
}

// withQueryParam sets one parameter, at the position of the first that has its name, and leaves everything else as it is.
func withQueryParam(address, name, value string) string {
	before, query, fragment := cutURL(address)
	pair := encode(name) + "=" + encode(value)
	var pairs []string
	isSet := false
	if query != "" {
		for candidate := range strings.SplitSeq(query, "&") {
			if parameterName(candidate) != name {
				pairs = append(pairs, candidate)
			} else if !isSet {
				pairs, isSet = append(pairs, pair), true
			}
		}
	}
	if !isSet {
		pairs = append(pairs, pair)
	}
	return before + "?" + strings.Join(pairs, "&") + fragment
}

// parameterName decodes as a form does; what cannot be decoded is a name of its own.
func parameterName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	decoded, err := url.QueryUnescape(name)
	if err != nil {
		return name
	}
	return decoded
}

// encode leaves the unreserved characters of RFC 3986 section 2.3 alone.
func encode(text string) string {
	const digits = "0123456789ABCDEF"
	var encoded strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("-_.~", c) >= 0:
			encoded.WriteByte(c)
		default:
			encoded.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return encoded.String()
}

// canonicalQuery sorts the parameters by their encoded names and then by their encoded values.
func canonicalQuery(query string) (string, error) {
	var pairs [][2]string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.PathUnescape(name)
		if err == nil {
			value, err = url.PathUnescape(value)
		}
		if err != nil {
			return "", &Error{InvalidRequest, "url", "the query is not percent-encoded UTF-8"}
		}
		pairs = append(pairs, [2]string{encode(name), encode(value)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if order := strings.Compare(a[0], b[0]); order != 0 {
			return order
		}
		return strings.Compare(a[1], b[1])
	})
	joined := make([]string, len(pairs))
	for i, pair := range pairs {
		joined[i] = pair[0] + "=" + pair[1]
	}
	return strings.Join(joined, "&"), nil
}
