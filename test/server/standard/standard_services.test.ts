import { once } from "node:events";
import { join } from "node:path";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, onTestFinished, test } from "vitest";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { defaultLimits } from "../../../src/model/limits.js";
import { ApiListener } from "../../../src/server/api/api_listener.js";
import type { ListenerLimits } from "../../../src/server/listen/listener_limits.js";
import { StandardServices } from "../../../src/server/listeners.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { apiKey, authenticate, FakeServices } from "../fake_services.js";
import { loopback, opened, portOf } from "../temporary.js";

const protos = join(import.meta.dirname, "../../../proto/grpc");

/** On TCP and without a key: these services ask for none. */
async function openListener(bounds?: ListenerLimits) {
  const fake = new FakeServices();
  const { onUnexpected } = fake;
  const standard = new StandardServices(fake.services);
  const services = [...fake.services, ...standard.services];
  const listener = await opened(
    new ApiListener({
      ...{
        name: "grpc",
        listen: loopback,
        setting: "NEXUS_GRPC_LISTEN",
        services,
        authenticate,
        onUnexpected,
      },
      clock: new ManualClock(0),
      ...(bounds && { bounds }),
    }),
  );
  return { listener, standard, target: `127.0.0.1:${portOf(listener)}`, fake };
}

interface HealthClient {
  check(request: object, callback: (error: ServiceError | null, response: { status: string }) => void): void;
  watch(request: object, metadata?: Metadata): ClientReadableStream<{ status: string }>;
}

interface ReflectionAnswer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

interface ReflectionClient {
  serverReflectionInfo(): ClientDuplexStream<object, ReflectionAnswer>;
}

function clientOf<T>(protoFile: string, serviceName: string, target: string): T {
  const root = loadPackageDefinition(loadSync(protoFile, { enums: String })) as unknown;
  const Service = serviceName
    .split(".")
    .reduce((space, name) => (space as Record<string, unknown>)[name], root) as new (
    address: string,
    secrets: typeof credentials extends { createInsecure(): infer C } ? C : never,
    options: object,
  ) => T & { close(): void };
  const client = new Service(target, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  onTestFinished(() => client.close());
  return client;
}

describe("health", () => {
  const healthOf = (target: string): HealthClient =>
    clientOf(join(protos, "health/v1/health.proto"), "grpc.health.v1.Health", target);
  const check = (client: HealthClient, service: string): Promise<string> =>
    new Promise((resolve, reject) =>
      client.check({ service }, (error, response) => (error ? reject(error) : resolve(response.status))),
    );

  test.each(["", "nexus.v1.TokenService", "nexus.v1.ProviderService"])("of %j", async (service) => {
    const { standard, target } = await openListener();
    const client = healthOf(target);
    expect(await check(client, service)).toBe("SERVING");
    standard.setServing(false);
    expect(await check(client, service)).toBe("NOT_SERVING");
    standard.setServing(true);
    expect(await check(client, service)).toBe("SERVING");
  });

  test("of a service that is not there", async () => {
    const { target } = await openListener();
    await expect(check(healthOf(target), "no.Such")).rejects.toMatchObject({ code: 5 });
  });

  test("unauthenticated callers hold few streams open, and who shows a key is not counted among them", async () => {
    const limits = { ...defaultLimits, maxStreams: 100 };
    const { target } = await openListener({ limits, clock: new ManualClock(0), onFull: () => undefined });
    const client = healthOf(target);
    const watch = async (metadata = new Metadata()) => {
      const stream = client.watch({ service: "" }, metadata);
      const first = await new Promise<unknown>((resolve) => {
        stream.once("data", ({ status }) => resolve(status));
        stream.once("error", resolve);
      });
      stream.on("error", () => undefined);
      return { stream, first };
    };
    const held = [await watch(), await watch()];
    expect(held.map(({ first }) => first)).toEqual(["SERVING", "SERVING"]);
    const { first } = await watch();
    expect(first).toMatchObject({ code: 8, details: expect.stringContaining("NEXUS_MAX_STREAMS") });
    const keyed = new Metadata();
    keyed.set("x-api-key", apiKey);
    expect((await watch(keyed)).first).toBe("SERVING");
    held[0]?.stream.cancel();
    await expect.poll(async () => (await watch()).first).toBe("SERVING");
  });

  test("a watch sees the drain, and does not hold it up", async () => {
    const { listener, standard, target } = await openListener();
    const stream = healthOf(target).watch({ service: "" });
    const seen: string[] = [];
    stream.on("data", ({ status }: { status: string }) => seen.push(status));
    await once(stream, "data");
    const ended = once(stream, "end");
    standard.close();
    await listener.close(new AbortController().signal);
    await ended;
    expect(seen).toEqual(["SERVING", "NOT_SERVING"]);
  });
});

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
