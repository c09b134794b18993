package main

import (
	"context"
	"fmt"
	"log"

	"golang.org/x/oauth2/google"
)

func main() {
	found, err := google.FindDefaultCredentials(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	token, err := found.TokenSource.Token()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.AccessToken)
}
