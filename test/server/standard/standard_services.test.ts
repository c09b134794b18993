import { once } from "node:events";
import { join } from "node:path";
import { type ClientReadableStream, Metadata, type ServiceError } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { defaultLimits } from "../../../src/model/limits.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { apiKey } from "../fake_services.js";
import { clientOf, openStandard, protos } from "./standard_listener.js";

interface HealthClient {
  check(request: object, callback: (error: ServiceError | null, response: { status: string }) => void): void;
  watch(request: object, metadata?: Metadata): ClientReadableStream<{ status: string }>;
}

describe("health", () => {
  const healthOf = (target: string): HealthClient =>
    clientOf(join(protos, "health/v1/health.proto"), "grpc.health.v1.Health", target);
  const check = (client: HealthClient, service: string): Promise<string> =>
    new Promise((resolve, reject) =>
      client.check({ service }, (error, response) => (error ? reject(error) : resolve(response.status))),
    );

  test.each(["", "nexus.v1.TokenService", "nexus.v1.ProviderService"])("of %j", async (service) => {
    const { standard, target } = await openStandard();
    const client = healthOf(target);
    expect(await check(client, service)).toBe("SERVING");
    standard.setServing(false);
    expect(await check(client, service)).toBe("NOT_SERVING");
    standard.setServing(true);
    expect(await check(client, service)).toBe("SERVING");
  });

  test("of a service that is not there", async () => {
    const { target } = await openStandard();
    await expect(check(healthOf(target), "no.Such")).rejects.toMatchObject({ code: 5 });
  });

  test("unauthenticated callers hold few streams open, and who shows a key is not counted among them", async () => {
    const limits = { ...defaultLimits, maxStreams: 100 };
    const { target } = await openStandard({ limits, clock: new ManualClock(0), onFull: () => undefined });
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
    const { listener, standard, target } = await openStandard();
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
