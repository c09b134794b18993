package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

// TestSignaturesAreThoseOfTheSDK signs random requests as the signer of AWS does.
func TestSignaturesAreThoseOfTheSDK(t *testing.T) {
	const seed = 14
	random := rand.New(rand.NewPCG(seed, seed))
	text := func(alphabet string, longest int) string {
		letters := []rune(alphabet)
		var made strings.Builder
		for range random.IntN(longest + 1) {
			made.WriteRune(letters[random.IntN(len(letters))])
		}
		return made.String()
	}
	services := []string{"s3", "execute-api", "sqs"}
	for n := range 2000 {
		service := services[random.IntN(len(services))]
		address := "https://host.amazonaws.com"
		for range random.IntN(4) + 1 {
			address += "/" + url.PathEscape("x"+text("abc d+%é*!'()~:@$&=", 6))
		}
		var pairs []string
		for range random.IntN(4) {
			pairs = append(pairs, percent("k"+text("ab c&=é+*~", 4))+"="+percent(text("xy z&=é+*~/", 4)))
		}
		address += "?" + strings.Join(pairs, "&")
		body := []byte(text("hello {}\n", 20))
		signedAt := time.Unix(1_700_000_000+int64(n), 0)

		theirs, err := http.NewRequest(http.MethodPost, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		theirs.Header.Set("X-Amz-Target", "a  "+text("b c", 5))
		ours := &strategy.Request{Method: http.MethodPost, URL: theirs.URL.String(), Header: theirs.Header.Clone(), Body: body}

		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		theirs.Header.Set("X-Amz-Content-Sha256", hash)
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
		keys := aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK", SessionToken: "session"}
		if err := signer.SignHTTP(context.Background(), keys, theirs, hash, service, "eu-west-1", signedAt); err != nil {
			t.Fatal(err)
		}

		kind := &nexusv1.Strategy{Kind: &nexusv1.Strategy_AwsSigv4{
			AwsSigv4: &nexusv1.AwsSigV4Strategy{Service: service, Region: "eu-west-1"},
		}}
		credentials := map[string]string{"access_key": "AK", "secret_key": "SK", "session_token": "session"}
		if err := strategy.Apply(kind, credentials, ours, strategy.Options{Time: signedAt}); err != nil {
			t.Fatal(err)
		}
		if got, want := ours.Header.Get("Authorization"), theirs.Header.Get("Authorization"); got != want {
			t.Fatalf("%s %s\ngot  %s\nwant %s", service, address, got, want)
		}
	}
}

// percent encodes a part of a query, spaces too.
func percent(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
