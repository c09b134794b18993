package strategy_test

import (
	"fmt"
	"net/http"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
	"github.com/nexusd/nexusd/clients/go/strategy"
)

func ExampleApply() {
	// A token holds both, as GetToken and WatchTokens answer it.
	kind := &nexusv1.Strategy{Kind: &nexusv1.Strategy_Header{Header: &nexusv1.HeaderStrategy{HeaderName: "X-Api-Key"}}}
	credentials := map[string]string{"api_key": "the-key"}

	request := &strategy.Request{Method: "GET", URL: "https://api.example/v1", Header: http.Header{}}
	if err := strategy.Apply(kind, credentials, request, strategy.Options{}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(request.Header)
	// Output: map[X-Api-Key:[the-key]]
}
