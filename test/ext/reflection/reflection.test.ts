import { once } from "node:events";
import { join } from "node:path";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { Reflection } from "../../../src/ext/reflection/reflection.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { clientOf, openStandard, protos } from "../../server/standard/standard_listener.js";

const openListener = () => openStandard(undefined, [(services) => new Reflection(services)]);

interface ReflectionAnswer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

interface ReflectionClient {
  serverReflectionInfo(): ClientDuplexStream<object, ReflectionAnswer>;
}

describe.each(["v1", "v1alpha"])("reflection %s", (version) => {
  async function ask(target: string, ...requests: object[]): Promise<ReflectionAnswer[]> {
    const proto = join(protos, "reflection", version, "reflection.proto");
    const client = clientOf<ReflectionClient>(proto, `grpc.reflection.${version}.ServerReflection`, target);
    const call = client.serverReflectionInfo();
    const answers: ReflectionAnswer[] = [];
    call.on("data", (answer: ReflectionAnswer) => answers.push(answer));
    for (const request of requests) call.write(request);
    call.end();
    await once(call, "end");
    return answers;
  }

  const filesIn = (answer: ReflectionAnswer | undefined): FileDescriptorProto[] =>
    (answer?.fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );

  test("lists the services", async () => {
    const { target } = await openListener();
    const [answer] = await ask(target, { listServices: "" });
    const names = answer?.listServicesResponse?.service.map(({ name }) => name);
    expect(names?.sort()).toEqual([
      "grpc.health.v1.Health",
      "nexus.v1.ProviderService",
      "nexus.v1.TokenService",
    ]);
  });

  test("a client can rebuild a service from what it fetches, field by field", async () => {
    const { target } = await openListener();
    const files = new Map<string, FileDescriptorProto>();
    const keep = (answer: ReflectionAnswer | undefined) => {
      for (const file of filesIn(answer)) files.set(file.name, file);
    };
    keep((await ask(target, { fileContainingSymbol: "nexus.v1.TokenService" }))[0]);
    // As grpcurl does: whatever a file imports and was not sent along is asked for by name.
    for (;;) {
      const missing = [...files.values()]
        .flatMap((file) => file.dependency)
        .filter((name) => !files.has(name));
      if (missing.length === 0) break;
      const [answer] = await ask(target, { fileByFilename: missing[0] });
      expect(answer?.errorResponse).toBeUndefined();
      keep(answer);
    }
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(files) }));
    const service = registry.getService("nexus.v1.TokenService");
    expect(service?.methods.map(({ name }) => name)).toEqual(TokenService.methods.map(({ name }) => name));
    const shape = (
      fields: readonly { name: string; number: number; fieldKind: string; presence: number }[] = [],
    ) => fields.map(({ name, number, fieldKind, presence }) => [name, number, fieldKind, presence]);
    for (const { input, output } of TokenService.methods) {
      for (const { typeName, fields } of [input, output]) {
        expect(shape(registry.getMessage(typeName)?.fields)).toEqual(shape(fields));
      }
    }
  });

  test("knows the health service, and what it does not know", async () => {
    const { target } = await openListener();
    const [health, nothing, empty] = await ask(
      target,
      { fileContainingSymbol: "grpc.health.v1.Health" },
      { fileContainingSymbol: "no.Such" },
      {},
    );
    expect(filesIn(health)[0]?.service[0]?.name).toBe("Health");
    expect(nothing?.errorResponse?.errorCode).toBe(5);
    expect(empty?.errorResponse?.errorCode).toBe(12);
  });
});

/** Dependencies first, as `createFileRegistry` wants them. */
function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visit = (name: string): void => {
    const file = files.get(name);
    if (!file || ordered.has(file)) return;
    file.dependency.forEach(visit);
    ordered.add(file);
  };
  for (const name of files.keys()) visit(name);
  return [...ordered];
}
