package strategy_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

// vector of the table that all client libraries share.
type vector struct {
	Name        string            `json:"name"`
	Strategy    json.RawMessage   `json:"strategy"`
	Credentials map[string]string `json:"credentials"`
	Request     message           `json:"request"`
	TimeMs      int64             `json:"time_ms"`
	BodyHash    string            `json:"body_hash"`
	Expected    *message          `json:"expected"`
	Error       struct {
		Reason strategy.Reason `json:"reason"`
		Field  string          `json:"field"`
	} `json:"error"`
}

type message struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// TestSharedVectors needs the repository: the table is no part of the module.
func TestSharedVectors(t *testing.T) {
	data, err := os.ReadFile("../../../test/clients/strategy_vectors.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("outside of the repository of nexusd")
	}
	var table struct{ Vectors []vector }
	if err == nil {
		err = json.Unmarshal(data, &table)
	}
	if err != nil || len(table.Vectors) == 0 {
		t.Fatal(len(table.Vectors), err)
	}
	hashes := map[string]strategy.BodyHash{"signed": strategy.SignedHash, "unsigned": strategy.UnsignedPayload}
	for _, each := range table.Vectors {
		t.Run(each.Name, func(t *testing.T) {
			var kind nexusv1.Strategy
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(each.Strategy, &kind); err != nil {
				t.Fatal(err)
			}
			request := &strategy.Request{
				Method: each.Request.Method, URL: each.Request.URL, Header: http.Header{}, Body: []byte(each.Request.Body),
			}
			for name, value := range each.Request.Headers {
				request.Header.Set(name, value)
			}
			before := request.Header.Clone()
			err := strategy.Apply(&kind, each.Credentials, request, strategy.Options{
				Time: time.UnixMilli(each.TimeMs), BodyHash: hashes[each.BodyHash],
			})
			if each.Expected == nil {
				var known *strategy.Error
				if !errors.As(err, &known) || known.Reason != each.Error.Reason || known.Field != each.Error.Field {
					t.Fatalf("got %v, want %v", err, each.Error)
				}
				if request.URL != each.Request.URL || !maps.EqualFunc(request.Header, before, func(a, b []string) bool { return a[0] == b[0] }) {
					t.Error("the request was changed")
				}
				for _, value := range each.Credentials {
					if len(value) > 3 && strings.Contains(err.Error(), value) {
						t.Error("the error repeats the credential")
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			expected := http.Header{}
			for name, value := range each.Expected.Headers {
				expected.Set(name, value)
			}
			if request.URL != each.Expected.URL || !maps.EqualFunc(request.Header, expected, func(a, b []string) bool { return a[0] == b[0] }) {
				t.Errorf("got %s %v, want %s %v", request.URL, request.Header, each.Expected.URL, expected)
			}
		})
	}
}
