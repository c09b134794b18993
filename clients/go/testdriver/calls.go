package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	nexus "github.com/nexusd/nexusd/clients/go"
	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

func (d *driver) request(ctx context.Context, line *request) (any, error) {
	if line.Via != "transport" {
		return nil, errNotImplemented
	}
	var body io.Reader
	if line.Body != nil {
		body = strings.NewReader(*line.Body)
	}
	request, err := http.NewRequestWithContext(ctx, line.Method, line.URL, body)
	if err != nil {
		return nil, err
	}
	for name, value := range line.Headers {
		request.Header.Set(name, value)
	}
	client := http.Client{Transport: d.client.Transport(line.Provider, line.User, nexus.Label(line.Label))}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return object{"status": response.StatusCode, "body": string(text)}, err
}

func (d *driver) grpc(ctx context.Context, line *request) (any, error) {
	transport, err := credentials.NewClientTLSFromFile(line.CAFile, "")
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("dns:///"+line.Address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{},
		grpc.PerRPCCredentials(d.client.RPCCredentials(line.Provider, line.User)))
	return object{"code": status.Code(err)}, nil
}

func apply(line *request) (any, error) {
	var kind nexusv1.Strategy
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line.Strategy, &kind); err != nil {
		return nil, err
	}
	raw := &strategy.Request{Method: line.Request.Method, URL: line.Request.URL, Header: http.Header{}}
	for name, value := range line.Request.Headers {
		raw.Header.Set(name, value)
	}
	if line.Request.Body != nil {
		raw.Body = []byte(*line.Request.Body)
	}
	hashes := map[string]strategy.BodyHash{"signed": strategy.SignedHash, "unsigned": strategy.UnsignedPayload}
	options := strategy.Options{BodyHash: hashes[line.BodyHash]}
	if line.TimeMs != nil {
		options.Time = time.UnixMilli(*line.TimeMs)
	}
	if err := strategy.Apply(&kind, line.Credentials, raw, options); err != nil {
		return nil, err
	}
	applied := httpRequest{Method: raw.Method, URL: raw.URL, Headers: map[string]string{}, Body: line.Request.Body}
	for name := range raw.Header {
		applied.Headers[name] = raw.Header.Get(name)
	}
	return applied, nil
}

// describe writes an error as the protocol has it.
func describe(err error) object {
	described := object{"message": err.Error(), "type": "NexusError"}
	var denied *nexus.ConsentDenied
	var attention *nexus.AttentionRequired
	var consent *nexus.ConsentRequired
	var unavailable *nexus.Unavailable
	var inapplicable *strategy.Error
	switch {
	case errors.Is(err, errNotImplemented):
		described["type"] = "NotImplemented"
	case errors.Is(err, context.DeadlineExceeded):
		described["type"] = "DeadlineExceeded"
	case errors.Is(err, context.Canceled):
		described["type"] = "Cancelled"
	case errors.As(err, &denied):
		described["type"] = "ConsentDenied"
		withConsent(described, denied.Consent)
	case errors.As(err, &attention):
		described["type"], described["reason"] = "AttentionRequired", attention.Reason
		if attention.Consent != nil {
			withConsent(described, attention.Consent)
		}
	case errors.As(err, &consent):
		described["type"] = "ConsentRequired"
		withConsent(described, consent)
	case errors.As(err, &unavailable):
		described["type"] = "Unavailable"
		if unavailable.RetryAfter > 0 {
			described["retry_after_ms"] = unavailable.RetryAfter.Milliseconds()
		}
	case errors.As(err, &inapplicable):
		described["type"], described["reason"], described["field"] = "StrategyError", inapplicable.Reason, inapplicable.Field
	default:
		for sentinel, name := range map[error]string{
			nexus.ErrNotFound: "NotFound", nexus.ErrUnauthenticated: "Unauthenticated",
			nexus.ErrPermissionDenied: "PermissionDenied", nexus.ErrInvalidArgument: "InvalidArgument",
		} {
			if errors.Is(err, sentinel) {
				described["type"] = name
			}
		}
	}
	return described
}

func withConsent(described object, consent *nexus.ConsentRequired) object {
	described["auth_url"], described["connection_id"], described["reason"] = consent.AuthURL, consent.ConnectionID, consent.Reason
	described["scopes"] = consent.Scopes
	return described
}
