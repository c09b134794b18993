import { join } from "node:path";
import { credentials, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { onTestFinished } from "vitest";
import { ApiListener } from "../../../src/server/api/api_listener.js";
import type { ListenerLimits } from "../../../src/server/listen/listener_limits.js";
import { type MakeOpenServices, StandardServices } from "../../../src/server/standard/standard_services.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { authenticate, FakeServices } from "../fake_services.js";
import { loopback, opened, portOf } from "../temporary.js";

export const protos = join(import.meta.dirname, "../../../proto/grpc");

/** With services that ask for no key, on TCP. */
export async function openStandard(bounds?: ListenerLimits, others: readonly MakeOpenServices[] = []) {
  const fake = new FakeServices();
  const { onUnexpected } = fake;
  const standard = new StandardServices(fake.services, others);
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

export function clientOf<T>(protoFile: string, serviceName: string, target: string): T {
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
