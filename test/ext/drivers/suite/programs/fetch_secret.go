// A client of CredentialProvider on grpc-go, which the gateway of agent-substrate uses. Prints the value and its age, or the status and its message.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	protos, address, ca, cert, key, uri, actor := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6], os.Args[7]
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protos}})}
	files := must(compiler.Compile(context.Background(), "credprovider/credprovider.proto"))
	method := files[0].Services().ByName("CredentialProvider").Methods().ByName("FetchSecret")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(ca)))
	pair := must(tls.LoadX509KeyPair(cert, key))
	secure := credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}})
	connection := must(grpc.NewClient(address, grpc.WithTransportCredentials(secure)))
	defer connection.Close()

	request, response := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	request.Set(method.Input().Fields().ByName("uri"), protoreflect.ValueOfString(uri))
	request.Set(method.Input().Fields().ByName("actor_spiffe_id"), protoreflect.ValueOfString(actor))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := connection.Invoke(ctx, "/credprovider.CredentialProvider/FetchSecret", request, response); err != nil {
		found, _ := status.FromError(err)
		fmt.Println(code.Code(found.Code()), found.Message())
		return
	}
	fields := method.Output().Fields()
	maxAge := &durationpb.Duration{}
	encoded := must(proto.Marshal(response.Get(fields.ByName("max_age")).Message().Interface()))
	if err := proto.Unmarshal(encoded, maxAge); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(response.Get(fields.ByName("opaque_bytes")).Bytes()), maxAge.Seconds)
}
