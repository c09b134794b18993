/** What the bundle loads only when it is used is there when it is used. */
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type ClientDuplexStream, credentials, type GrpcObject, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { expect, onTestFinished, test } from "vitest";
import { DaemonProcess } from "./daemon_process.js";
import { Place } from "./harness.js";

interface Answer {
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
}

async function startedPlace(): Promise<Place> {
  const place = await Place.make({ NEXUS_LOG_LEVEL: "info" });
  mkdirSync(place.config.dataDir, { recursive: true, mode: 0o700 });
  const daemon = new DaemonProcess(place.environment);
  onTestFinished(async () => void (await daemon.kill("SIGTERM")));
  await daemon.ready();
  return place;
}

test("reflection names the file of the rules among the imports, and has it", async () => {
  const place = await startedPlace();
  const proto = join(import.meta.dirname, "../../proto/grpc/reflection/v1/reflection.proto");
  const { grpc } = loadPackageDefinition(loadSync(proto)) as { grpc: GrpcObject };
  const { ServerReflection } = (grpc["reflection"] as GrpcObject)["v1"] as Record<string, never>;
  const Client = ServerReflection as unknown as new (
    ...args: unknown[]
  ) => { serverReflectionInfo(): ClientDuplexStream<object, Answer>; close(): void };
  const client = new Client(`unix:${place.socket}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  const call = client.serverReflectionInfo();
  const rules = "buf/validate/validate.proto";
  const fileOf = async (request: object) => {
    const answered = once(call, "data");
    call.write(request);
    const [answer] = (await answered) as [Answer];
    return answer.fileDescriptorResponse?.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    )[0];
  };
  expect((await fileOf({ fileContainingSymbol: "nexus.v1.TokenService" }))?.dependency).toContain(rules);
  expect((await fileOf({ fileByFilename: rules }))?.messageType.length).toBeGreaterThan(10);
  call.end();
});

test("the rules of fields are checked", async () => {
  const { connections } = (await startedPlace()).clients();
  await expect(connections.listConnections({ pageSize: 100_000 })).rejects.toThrow(/page_size/);
});
