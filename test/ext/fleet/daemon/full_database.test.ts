import { expect, it } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import type { LocalDaemon } from "../../../daemon/daemon_at.js";
import { freePort } from "../../../free_port.js";
import { cookiesOf, type Reply, visit } from "../../../security/visitor.js";
import { localHubs } from "./local_hubs.js";

const hubs = localHubs(async () => {
  const ports = [await freePort(), await freePort()];
  return { count: 2, own: (index) => ({ NEXUS_CONSOLE_LISTEN: `127.0.0.1:${ports[index]}` }) };
});

const noSpace = "could not extend file: No space left on device";

/** What PostgreSQL raises where its disk takes no new page, while what it writes into old pages goes on. */
async function fillDisk(): Promise<void> {
  await hubs.postgres.query("ALTER FUNCTION nexus.commit_1 RENAME TO kept_commit_1");
  await hubs.postgres.query(
    `CREATE FUNCTION nexus.commit_1(uuid, bigint, uuid, uuid, bigint, bytea) RETURNS text LANGUAGE plpgsql AS $$
     BEGIN RAISE EXCEPTION '${noSpace}' USING ERRCODE = '53100'; END $$`,
  );
  await hubs.postgres.query("GRANT EXECUTE ON FUNCTION nexus.commit_1 TO PUBLIC");
}

async function freeDisk(): Promise<void> {
  await hubs.postgres.query("DROP FUNCTION nexus.commit_1");
  await hubs.postgres.query("ALTER FUNCTION nexus.kept_commit_1 RENAME TO commit_1");
}

const warningsOf = async ({ clients }: LocalDaemon) =>
  (await clients.status.getStatus({})).fleet?.warnings.filter((each) => each.includes("SQLSTATE"));

it("a full database disk is named at every hub, makes the leader unready, and holds up no caller for ever", async () => {
  const leader = await hubs.leader();
  const created = ({ clients }: LocalDaemon, name: string) =>
    clients.providers.createProvider({ provider: { name, authType: AuthType.API_KEY } });
  await fillDisk();
  const refused = "has not committed for 15 s";
  const ends = hubs.all.map((hub, index) => expect(created(hub, `full-${index}`)).rejects.toThrow(refused));
  for (const hub of hubs.all)
    await expect
      .poll(() => warningsOf(hub), { timeout: 30_000 })
      .toEqual([expect.stringMatching(/^the database has not committed for \d+ s, .*SQLSTATE 53100/)]);
  await Promise.all(ends);
  const following = async () => {
    const answer = await fetch(`${leader.opsUrl}/readyz`);
    const { checks } = (await answer.json()) as { checks: { following: unknown } };
    return [answer.status, checks.following];
  };
  await expect.poll(following).toEqual([503, expect.stringContaining(noSpace)]);

  await freeDisk();
  // What was asked for is done when it can be.
  for (const hub of hubs.all) await expect.poll(() => warningsOf(hub), { timeout: 30_000 }).toEqual([]);
  const { providers } = await leader.clients.providers.listProviders({});
  expect(providers.map(({ name }) => name)).toEqual(["full-0", "full-1"]);
  expect(await following()).toEqual([200, true]);
});

/** What browsers send next at `hub`, in a consent, in a form, and in the console: all of it waits for a commit. */
async function visitsAt(hub: LocalDaemon, name: string): Promise<(() => Promise<Reply>)[]> {
  const { providers, connections } = hub.clients;
  const own = `http://${hub.environment["NEXUS_BROWSER_LISTEN"]}`;
  const requested = async (profile: Parameters<typeof providers.createProvider>[0]["provider"]) => {
    const { provider } = await providers.createProvider({ provider: { name, ...profile } });
    const { authUrl } = await connections.requestConnection({
      provider: { case: "providerId", value: provider?.id ?? "" },
      userId: "ada",
    });
    const { host, pathname, search } = new URL(authUrl);
    const reply = await visit(`${own}${pathname}${search}`, { headers: { host } });
    const follow = new URL(String(reply.headers.location), authUrl);
    return { reply, follow, headers: { host, cookie: cookiesOf(reply) } };
  };
  const code = await requested({
    ...{ name: `code-${name}`, authType: AuthType.OAUTH2, clientId: "c", clientSecret: "s" },
    ...{ authUrl: "https://op.example/a", tokenUrl: "https://op.example/t" },
  });
  const { searchParams } = code.follow;
  const { pathname } = new URL(searchParams.get("redirect_uri") ?? "");
  const callback = `${own}${pathname}?error=access_denied&state=${searchParams.get("state")}`;
  const form = await requested({ name: `form-${name}`, authType: AuthType.API_KEY });
  const { headers } = form;
  const page = await visit(`${own}${form.follow.pathname}${form.follow.search}`, { headers });
  const fields = [...page.body.matchAll(/<input[^>]* name="([^"]+)"(?:[^>]* value="([^"]*)")?/g)];
  const body = new URLSearchParams(
    fields.map(([, field = "", value]): [string, string] => [field, value ?? "key-of-ada"]),
  );
  const sent = { "content-type": "application/x-www-form-urlencoded", origin: `http://${headers.host}` };
  const visitor = await ConsoleVisitor.signedIn(hub.clients);
  const token = { form_token: await visitor.formToken() };
  const found = await connections.listConnections({ userId: "ada" });
  const ended = found.connections.find(({ providerName }) => providerName === `code-${name}`)?.id;
  return [
    () => visit(callback, { headers: code.headers }),
    () =>
      visit(`${own}${form.follow.pathname}${form.follow.search}`, {
        ...{ method: "POST", body: String(body) },
        headers: {
          ...headers,
          cookie: [headers.cookie, cookiesOf(page)].filter(Boolean).join("; "),
          ...sent,
        },
      }),
    async () => (await visitor.visit(`/connections/${ended}/revoke`, { form: token })) as Reply,
  ];
}

it("a full database disk is told to a browser within the same limit, with what to do", async () => {
  await hubs.leader();
  const visits = await Promise.all(hubs.all.map((hub, index) => visitsAt(hub, String(index))));
  await fillDisk();
  try {
    const replies = await Promise.all(visits.flat().map((send) => send()));
    const consent = /This service cannot act at the moment.*Wait a minute, then load this page again/s;
    const inConsole = /Not possible.*: look whether the request was acted on/s;
    expect(replies.map(({ status, body }) => [status, body])).toEqual(
      hubs.all.flatMap(() => [consent, consent, inConsole].map((said) => [503, expect.stringMatching(said)])),
    );
  } finally {
    await freeDisk();
  }
});
