import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import type { WatchTokensResponse } from "../../../../src/gen/nexus/v1/token_pb.js";
import { consented, registered, registeredAt, requestOf } from "../../../daemon/requests.js";
import { Browser } from "../../../fakes/browser.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { needs } from "../../../needs.js";
import type { HubProcess } from "./hubs.js";
import { Hubs, shortLease } from "./hubs.js";

const keyed = (name: string) =>
  ({
    name,
    authType: 2,
    credentialSchema: {
      type: "object",
      required: ["api_key"],
      properties: { api_key: { type: "string" } },
    },
  }) as never;

const namesAt = async ({ clients }: HubProcess): Promise<string[]> =>
  (await clients.providers.listProviders({})).providers.map(({ name }) => name);

/** Where a watcher of everything stands, once it has heard all. */
async function bookmarkAt({ clients }: HubProcess): Promise<WatchTokensResponse> {
  const ending = new AbortController();
  for await (const event of clients.tokens.watchTokens({}, { signal: ending.signal })) {
    if (event.event.case !== "bookmark") continue;
    ending.abort();
    return event;
  }
  throw new Error("the stream ended");
}

it("hubs whose database lost what they have undo it, once for all, and begin another epoch", async (context) => {
  needs(context, "postgresql");
  const hubs = await Hubs.start({ count: 2, environment: shortLease });
  try {
    const { postgres } = hubs;
    await registered((await hubs.leader()).clients, keyed("kept"));
    postgres.kill();
    const kept = postgres.saved();
    await postgres.start();
    await registered((await hubs.leader()).clients, keyed("lost"));
    for (const hub of hubs.all) await expect.poll(() => namesAt(hub)).toEqual(["kept", "lost"]);
    const before = await bookmarkAt(hubs.all[0] as HubProcess);

    postgres.kill();
    postgres.restore(kept);
    await postgres.start();

    expect(await Promise.all(hubs.all.map(({ daemon }) => daemon.exited))).toEqual([75, 75]);
    for (const hub of hubs.all) await hub.start();
    const leader = await hubs.leader();
    await registered(leader.clients, keyed("later"));
    for (const hub of hubs.all) await expect.poll(() => namesAt(hub)).toEqual(["kept", "later"]);
    const [one, other] = hubs.all as [HubProcess, HubProcess];
    const positionAt = async (hub: HubProcess) => (await bookmarkAt(hub)).event.value;
    // Of two copies of which one may just have got what was written since.
    await expect
      .poll(async () => isDeepStrictEqual(await positionAt(one), await positionAt(other)))
      .toBe(true);
    expect(await positionAt(one)).not.toMatchObject({ position: { epoch: epochOf(before) } });
  } finally {
    await hubs.close();
  }
}, 300_000);

it("hubs bring home tokens that the database lost: a provider that rotates them is asked with the newest", async (context) => {
  needs(context, "postgresql");
  const provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3_600 });
  const hubs = await Hubs.start({ count: 2, environment: shortLease });
  try {
    const { postgres } = hubs;
    const first = await hubs.leader();
    await hubs.balance(first);
    await registeredAt(provider, first.clients);
    const connectionId = await consented(first.clients, requestOf("op"), new Browser());
    const tokenAt = async ({ clients }: HubProcess) =>
      (await clients.tokens.getToken({ connectionId })).token;
    // Wanted until it comes: a leader that has just heard of its database again may not send for a moment.
    const refreshedTo = (revision: bigint, { tokens }: HubProcess["clients"]) =>
      expect
        .poll(
          async () => {
            const { token } = await tokens.getToken({ connectionId });
            if (token && token.revision < revision)
              await tokens.refreshToken({ connectionId }).catch(() => undefined);
            return token?.revision;
          },
          { timeout: 60_000 },
        )
        .toBe(revision);
    postgres.kill();
    const kept = postgres.saved();
    await postgres.start();
    const { clients } = await hubs.leader();
    await refreshedTo(3n, clients);
    for (const hub of hubs.all) await expect.poll(async () => (await tokenAt(hub))?.revision).toBe(3n);
    const newest = (await tokenAt(hubs.all[0] as HubProcess))?.credentials;

    postgres.kill();
    postgres.restore(kept);
    await postgres.start();

    await Promise.all(hubs.all.map(({ daemon }) => daemon.exited));
    for (const hub of hubs.all) await hub.start();
    for (const hub of hubs.all)
      await expect
        .poll(() => tokenAt(hub), { timeout: 60_000 })
        .toMatchObject({ revision: 3n, credentials: newest });
    const next = await hubs.leader();
    await refreshedTo(4n, next.clients);
    expect(await postgres.query("SELECT digest FROM nexus.spool")).toEqual([]);
  } finally {
    await hubs.close();
    await provider.stop();
  }
}, 300_000);

function epochOf({ event }: WatchTokensResponse): string | undefined {
  return event.case === "bookmark" ? event.value.position?.epoch : undefined;
}
