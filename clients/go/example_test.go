package nexus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	nexus "github.com/nexusd/nexusd/clients/go"
	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

func Example() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	show := nexus.OnConsent(func(c *nexus.ConsentRequired) { fmt.Println("please open", c.AuthURL) })
	token, err := client.Acquire(context.Background(), "github", "ada", show)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("revision", token.Revision)
}

func ExampleClient_Token() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	token, err := client.Token(ctx, "github", "ada", nexus.Scopes("repo"), nexus.MinTTL(time.Minute))
	var consent *nexus.ConsentRequired
	var unavailable *nexus.Unavailable
	switch {
	case errors.As(err, &consent):
		fmt.Println("ada must open", consent.AuthURL)
	case errors.As(err, &unavailable):
		fmt.Println("again in", unavailable.RetryAfter)
	case errors.Is(err, nexus.ErrNotFound):
		fmt.Println("there is no provider of that name")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println("it expires at", token.ExpiresAt)
	}
}

func ExampleClient_Transport() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	api := &http.Client{Transport: client.Transport("github", "ada")}
	response, err := api.Get("https://api.github.com/user")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
}

func ExampleClient_RPCCredentials() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	conn, err := grpc.NewClient("pubsub.googleapis.com:443",
		grpc.WithTransportCredentials(credentials.NewTLS(nil)),
		grpc.WithPerRPCCredentials(client.RPCCredentials("google", "ada")))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
}

func ExampleClient_Watch() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	for message, err := range client.Watch(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		if state := message.GetState(); state != nil {
			fmt.Println(state.GetConnectionId(), state.GetStatus(), state.GetRevision())
		}
	}
}

func ExampleClient_Conn() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	connections := nexusv1.NewConnectionServiceClient(client.Conn())
	answer, err := connections.ListConnections(context.Background(), &nexusv1.ListConnectionsRequest{UserId: "ada"})
	if err != nil {
		log.Fatal(err)
	}
	for _, connection := range answer.GetConnections() {
		fmt.Println(connection.GetProviderName(), connection.GetStatus())
	}
}
