import { createFileRegistry, fromJson } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

const empty = ".google.protobuf.Empty";
const file = fromJson(FileDescriptorProtoSchema, {
  name: "health.proto",
  package: "grpc.health.v1",
  syntax: "proto3",
  dependency: ["google/protobuf/empty.proto"],
  service: [{ name: "Health", method: [{ name: "Check", inputType: empty, outputType: empty }] }],
});
const registry = createFileRegistry(file, () => file_google_protobuf_empty.proto);

/** A call of Connect's, in JSON. @returns the HTTP status that it came to */
export async function checkHealth(url: string, interceptor: Interceptor): Promise<number> {
  const service = registry.getService("grpc.health.v1.Health");
  if (!service) throw new Error("there is no service");
  const transport = createConnectTransport({
    baseUrl: new URL(url).origin,
    httpVersion: "1.1",
    useBinaryFormat: false,
    interceptors: [interceptor],
  });
  const client = createClient(service, transport) as unknown as { check(request: object): Promise<object> };
  try {
    await client.check({});
    return 200;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    if (error.code === Code.Unauthenticated) return 401;
    if (error.code === Code.PermissionDenied) return 403;
    throw error;
  }
}
