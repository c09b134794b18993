// Writes the descriptors of the services that grpc-go's interop client calls: its module has no .proto files.
package main

import (
	"os"

	testing "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	test := testing.File_grpc_testing_test_proto
	set := &descriptorpb.FileDescriptorSet{}
	for i := range test.Imports().Len() {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(test.Imports().Get(i).FileDescriptor))
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(protoreflect.FileDescriptor(test)))
	bytes, err := proto.Marshal(set)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(bytes); err != nil {
		panic(err)
	}
}
