import { expect, it } from "vitest";
import { registered } from "../../../daemon/requests.js";
import { needs } from "../../../needs.js";
import { Hubs } from "./hubs.js";

it("a hub starts from its copy while the database is away, and is unready when that was silent for too long", async (context) => {
  needs(context, "postgresql");
  const hubs = await Hubs.start({ count: 1, environment: { NEXUS_MAX_STALE_SECONDS: "15" } });
  try {
    const hub = await hubs.leader();
    await registered(hub.clients, {
      name: "acme",
      authType: 2,
      credentialSchema: {
        type: "object",
        required: ["api_key"],
        properties: { api_key: { type: "string" } },
      },
    } as never);
    await hub.daemon.kill("SIGTERM");
    hubs.postgres.kill();
    await hub.start();
    const { providers } = await hub.clients.providers.listProviders({});
    expect(providers.map(({ name }) => name)).toEqual(["acme"]);
    const readiness = async () => (await fetch(`${hub.opsUrl}/readyz`)).json();
    expect(await readiness()).toMatchObject({ ready: true });
    await expect.poll(readiness, { timeout: 40_000 }).toMatchObject({
      ready: false,
      checks: { following: expect.stringContaining("has not answered for") },
    });
    await hubs.postgres.start();
    await hubs.leader();
    await expect.poll(readiness, { timeout: 20_000 }).toMatchObject({ ready: true });
  } finally {
    await hubs.close();
  }
}, 120_000);
