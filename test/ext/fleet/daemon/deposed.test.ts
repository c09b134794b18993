import { Code, ConnectError } from "@connectrpc/connect";
import { Client } from "pg";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { registeredAt, requestOf } from "../../../daemon/requests.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { needs } from "../../../needs.js";
import { type HubProcess, Hubs } from "./hubs.js";

beforeEach((context) => needs(context, "postgresql"));

/** Two hubs with a provider, whose lease nobody renews while a test runs. */
async function twoHubs() {
  const provider = await startOpenIdProvider({ redirectUris: [] });
  const hubs = await Hubs.start({ count: 2, environment: { NEXUS_FLEET_LEASE_SECONDS: "60" } });
  onTestFinished(async () => {
    await hubs.close();
    await provider.stop();
  }, 60_000);
  const leader = await hubs.leader();
  await registeredAt(provider, leader.clients);
  const follower = hubs.all.find((hub) => hub !== leader) as HubProcess;
  return { hubs, leader, follower };
}

/** Everything that is to be committed waits until the leader has lost its lease. */
async function held({
  postgres,
}: Hubs): Promise<{ isAsked: () => Promise<boolean>; depose: () => Promise<void> }> {
  const client = new Client({
    host: postgres.folder,
    port: postgres.port,
    user: "postgres",
    database: "nexus",
  });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("BEGIN");
  await client.query("SELECT FROM nexus.head FOR UPDATE");
  return {
    isAsked: async () => {
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%commit_1%'`;
      return (await client.query(waiting)).rowCount === 1;
    },
    depose: async () => {
      await client.query(
        "UPDATE nexus.lease SET owner = gen_random_uuid(), fence = fence + 1, address = '127.0.0.1:1'",
      );
      await client.query("COMMIT");
      await client.end();
    },
  };
}

it("a leader that is deposed amid writes answers each of them UNAVAILABLE, wherever it was asked", async () => {
  const { hubs, leader, follower } = await twoHubs();
  const create = ({ clients }: HubProcess, name: string) =>
    clients.access.createApiKey({ name, role: Role.OPERATOR });
  // The link between the hubs is open.
  const { apiKey } = await create(follower, "before");
  const { isAsked, depose } = await held(hubs);
  const writes = [
    create(leader, "a"),
    create(follower, "b"),
    leader.clients.access.revokeApiKey({ key: { case: "id", value: apiKey?.id ?? "" } }),
    leader.clients.connections.requestConnection(requestOf("op")),
    follower.clients.connections.requestConnection(requestOf("op")),
  ].map((write) =>
    write.then(
      () => "acknowledged",
      (error: unknown) => ConnectError.from(error),
    ),
  );
  await expect.poll(isAsked).toBe(true);
  await depose();
  for (const answer of await Promise.all(writes))
    expect(answer).toMatchObject({
      code: Code.Unavailable,
      // What reached the leader when it had lost the lease was not begun.
      rawMessage: expect.stringMatching(/look whether the request was acted on|nothing was done/),
    });
  expect(await leader.daemon.exited).toBe(75);
  const { apiKeys } = await follower.clients.access.listApiKeys({});
  expect(apiKeys.map(({ name }) => name)).toEqual(["before"]);
}, 120_000);
