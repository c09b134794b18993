// A client of grpc-go: prints the messages of one stream as they come.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/url"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

type raw struct{}

func (raw) Marshal(value any) ([]byte, error)        { return *value.(*[]byte), nil }
func (raw) Unmarshal(bytes []byte, value any) error { *value.(*[]byte) = bytes; return nil }
func (raw) Name() string                             { return "raw" }

func main() {
	target, err := url.Parse(os.Args[2])
	orPanic(err)
	secure := grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{}))
	connection, err := grpc.NewClient(target.Host, secure, grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	orPanic(err)
	stream, err := connection.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true}, target.Path)
	orPanic(err)
	question := []byte("hello")
	orPanic(stream.SendMsg(&question))
	orPanic(stream.CloseSend())
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if err == io.EOF {
			return
		}
		orPanic(err)
		fmt.Println(string(message))
	}
}

func orPanic(err error) {
	if err != nil {
		panic(err)
	}
}
