// How an agent in Go applies a credential that goes into a header.
//
//	curl -H "Authorization: Bearer $NEXUS_API_KEY" localhost:8090/v1/token/$ID | go run header.go
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// Token is the answer of GET /v1/token/{id}.
type Token struct {
	Strategy struct {
		Type   string            `json:"type"`
		Config map[string]string `json:"config"`
	} `json:"strategy"`
	Credentials map[string]string `json:"credentials"`
}

func apply(header http.Header, token Token) error {
	config := token.Strategy.Config
	if kind := token.Strategy.Type; kind != "oauth2" && kind != "header" {
		return fmt.Errorf("the strategy %s is no header", kind)
	}
	header.Set(config["header_name"], config["value_prefix"]+token.Credentials[config["credential_field"]])
	return nil
}

func main() {
	var token Token
	header := http.Header{"Accept": {"application/json"}}
	err := json.NewDecoder(os.Stdin).Decode(&token)
	if err == nil {
		err = apply(header, token)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(header)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
