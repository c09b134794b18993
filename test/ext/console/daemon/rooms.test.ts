import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { AccessService, Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { ConsoleService } from "../../../../src/gen/nexus/v1/console_pb.js";
import { TokenService } from "../../../../src/gen/nexus/v1/token_pb.js";
import { recordThroughFleet } from "../../../daemon/audit_events.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { ScriptedWorld } from "../../../daemon/scripted_world.js";
import { perSuite } from "../../../lifetimes.js";
import { json } from "../../../oauth/scripted_server.js";

const world = perSuite(() => ScriptedWorld.make({ NEXUS_NOTIFY_COMMAND: "/bin/false" }));

function clientsOf(key: string) {
  const withKey: Interceptor = (next) => (request) => {
    request.header.set("x-api-key", key);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: world.place.httpUrl,
    httpVersion: "1.1",
    interceptors: [withKey],
  });
  return {
    access: createClient(AccessService, transport),
    console: createClient(ConsoleService, transport),
    tokens: createClient(TokenService, transport),
  };
}

const visitorWith = async (key?: string): Promise<ConsoleVisitor> =>
  ConsoleVisitor.signedIn(key === undefined ? world.clients : clientsOf(key));

/** Sends a form of a page of this visitor. */
async function submit(visitor: ConsoleVisitor, path: string, fields: Readonly<Record<string, string>>) {
  const form = { form_token: await visitor.formToken(), ...fields };
  return await visitor.visit(path, { form });
}

const keyIn = (body: string): string | undefined => /nxk_[0-9a-f]+_[\w-]+/.exec(body)?.[0];

describe("the room of the API keys", () => {
  it("shows a new key once, in the answer to the form, and nowhere else", async () => {
    const visitor = await visitorWith();
    const created = await submit(visitor, "/agents/keys/new", {
      name: "research",
      role: "agent",
      user_ids: "ada\nacme:*, grace",
      days: "30",
    });
    expect([created.status, created.headers["cache-control"], created.headers["location"]]).toEqual([
      200,
      "no-store",
      undefined,
    ]);
    const key = keyIn(created.body) ?? "";
    const me = await clientsOf(key).access.whoAmI({});
    expect(me).toMatchObject({ principal: "key:research", role: Role.AGENT });
    expect(me.restrictions[0]?.userIds).toEqual(["ada", "acme:*", "grace"]);
    const lifeMs = Number(me.expiresAt?.seconds) * 1_000 - world.clock.nowMs();
    expect(lifeMs / 86_400_000).toBeCloseTo(30, 1);

    const list = await visitor.visit("/agents/key:research");
    expect(list.body).toContain("users ada, acme:*, grace");
    // It may hold the mark that stands before it.
    const secret = key.replace(/^nxk_[0-9a-f]+_/, "");
    expect(secret.length).toBeGreaterThan(20);
    expect(list.body).not.toContain(secret);
    expect(world.place.logLines.join("")).not.toContain(secret);
    const again = await submit(visitor, "/agents/keys/new", { name: "research", role: "operator", days: "" });
    expect(again.status).toBe(409);
    expect(again.body).toContain("Nothing was changed.");
    expect(keyIn(again.body)).toBeUndefined();
  });

  it("says beside each field what is wrong with it, and keeps what was entered", async () => {
    const visitor = await visitorWith();
    const refused = await submit(visitor, "/agents/keys/new", {
      name: "No Good",
      role: "agent",
      providers: "../etc",
      days: "7",
    });
    expect(refused.status).toBe(400);
    expect(refused.body).toMatch(
      /id="field-name-error"><span class="hidden">Error: <\/span>[A-Z][^<]*lower-case/,
    );
    expect(refused.body).toMatch(/id="field-providers-error">/);
    expect(refused.body).toContain('value="No Good"');
    expect(refused.body).toContain(">../etc</textarea>");
    expect(refused.body).toMatch(/<option value="7" selected="">/);
    const unrestricted = await submit(visitor, "/agents/keys/new", { name: "free", role: "agent", days: "" });
    expect(unrestricted.body).toMatch(/id="field-user_ids-error">/);
  });

  it.each(["Infinity", "1e300", "-1", "abc"])("makes no key for %s days", async (days) => {
    const fields = { name: "ever", role: "operator", days };
    const refused = await submit(await visitorWith(), "/agents/keys/new", fields);
    expect([refused.status, keyIn(refused.body)]).toEqual([400, undefined]);
    expect(refused.body).toMatch(/id="field-days-error">/);
  });

  it("asks before it revokes, and then the next call of the key is refused", async () => {
    const visitor = await visitorWith();
    const key =
      keyIn((await submit(visitor, "/agents/keys/new", { name: "old", role: "operator" })).body) ?? "";
    const { access } = clientsOf(key);
    await access.whoAmI({});
    expect((await visitor.visit("/agents/key:old")).body).toContain("Revoke the API key <bdi>old</bdi>?");
    await access.whoAmI({});
    const { status, headers } = await submit(visitor, "/agents/keys/old/revoke", {});
    expect([status, headers["location"]]).toEqual([303, "/agents/key:old?notice=key_revoked"]);
    await expect(access.whoAmI({})).rejects.toThrow(/unauthenticated/);
    expect((await visitor.visit("/agents/key:old?notice=key_revoked")).body).toContain(
      "The API key was revoked.",
    );
    expect((await visitor.visit("/agents/key:old")).body).toMatch(/Revoked<\/span>/);
    expect((await visitor.visit("/agents?ended=1")).body).toContain("/agents/key:old");
    expect((await visitor.visit("/agents")).body).not.toContain("/agents/key:old");
  });

  it("names who holds a stream open, and what was denied", async () => {
    const visitor = await visitorWith();
    const { key } = await world.clients.access.createApiKey({
      name: "nosy",
      role: Role.AGENT,
      restriction: { userIds: ["ada"] },
    });
    await clientsOf(key)
      .access.listApiKeys({})
      .catch(() => undefined);
    const stop = new AbortController();
    const stream = world.clients.tokens.watchTokens({}, { signal: stop.signal })[Symbol.asyncIterator]();
    await stream.next();
    const { body } = await visitor.visit("/agents");
    expect(body).toMatch(/<bdi>owner<\/bdi>[\s\S]*1 stream/);
    expect((await visitor.visit("/agents/owner")).body).toContain("TokenService/WatchTokens");
    expect((await visitor.visit("/agents/key:nosy")).body).toContain("Call denied: key.manage");
    const denied = await visitor.visit("/activity?show=refused");
    expect(denied.body).toMatch(/<bdi>nosy<\/bdi>[\s\S]*Call denied: key\.manage/);
    stop.abort();
    await stream.next().catch(() => undefined);
  });
});

describe("what the policy does not let a principal do", () => {
  const keyOf = async (name: string, role: Role): Promise<string> => {
    const restriction = role === Role.AGENT ? { restriction: { userIds: ["ada"] } } : {};
    return (await world.clients.access.createApiKey({ name, role, ...restriction })).key;
  };

  it("is not offered to an operator, and refused", async () => {
    const visitor = await visitorWith(await keyOf("operator", Role.OPERATOR));
    const agents = await visitor.visit("/agents");
    expect(agents.status).toBe(200);
    expect(agents.body).not.toContain("/agents/keys");
    expect((await visitor.visit("/agents/keys/new")).status).toBe(403);
    const created = await submit(visitor, "/agents/keys/new", { name: "mine", role: "admin" });
    expect([created.status, keyIn(created.body)]).toEqual([403, undefined]);
    expect((await submit(visitor, "/agents/keys/operator/revoke", {})).status).toBe(403);
    expect((await visitor.visit("/providers")).body).toContain("/providers/add");
  });

  it("leaves an agent its connections and providers, and nothing of the others", async () => {
    const providerId = await world.register({ name: "agents" });
    const visitor = await visitorWith(await keyOf("agent", Role.AGENT));
    const { body } = await visitor.visit("/providers");
    const nav = /<nav aria-label="Console">[\s\S]*?<\/nav>/.exec(body)?.[0] ?? "";
    expect([...nav.matchAll(/href="([^"]+)"/g)].map(([, path]) => path)).toEqual([
      "/connections",
      "/providers",
    ]);
    expect(body).not.toContain("/providers/add");
    expect(body).not.toContain("Health");
    const page = await visitor.visit(`/providers/${providerId}`);
    expect(page.status).toBe(200);
    for (const word of ["Delete", "Change the client", "Health", "/activity"])
      expect(page.body).not.toContain(word);
    for (const path of [
      "/overview",
      "/settings",
      "/agents",
      "/activity",
      "/providers/add",
      "/providers/new",
      `/providers/${providerId}/client`,
    ])
      expect([path, (await visitor.visit(path)).status]).toEqual([path, 403]);
    const added = await submit(visitor, "/providers/new", {
      name: "x",
      issuer: "https://x.example",
      client_id: "c",
    });
    expect(added.status).toBe(403);
    expect((await submit(visitor, `/providers/${providerId}/delete`, {})).status).toBe(403);
    const client = { client_id: "mine", client_secret: "mine" };
    expect((await submit(visitor, `/providers/${providerId}/client`, client)).status).toBe(403);
    expect((await visitor.visit(`/providers/${providerId}`)).status).toBe(200);
  });
});

describe("the room of the audit log", () => {
  const rows = (body: string): string[] =>
    [...body.matchAll(/<tr role="row" id="event-(\d+)">/g)].map(([, id]) => id ?? "");

  it("shows the newest first, page by page, each event once", async () => {
    const visitor = await visitorWith();
    const providerId = await world.register({ name: "many" });
    for (let index = 0; index < 60; index++) await world.request(providerId);
    const all = (await world.clients.audit.listAuditEvents({ pageSize: 1000 })).events.map(({ sequence }) =>
      String(sequence),
    );
    const seen: string[] = [];
    let path = "/activity?show=all";
    for (;;) {
      const { body } = await visitor.visit(path);
      seen.push(...rows(body));
      const older = /<a class="button quiet" href="([^"]+)">Older/.exec(body)?.[1];
      if (older === undefined) break;
      path = older.replaceAll("&amp;", "&");
    }
    expect(seen.length).toBeGreaterThan(60);
    expect(seen).toEqual(all);
  });

  it("says through which spoke and which hub an event came", async () => {
    await recordThroughFleet(world);
    const { body } = await (await visitorWith()).visit("/activity?agent=ci");
    const [sequence, ...others] = rows(body);
    expect(others).toEqual([]);
    const event = await (await visitorWith()).visit(`/activity/${sequence}`);
    expect(event.body).toContain("10.1.1.1:4711 for owner via jwt:spoke via 10.0.0.2:7443");
  });

  it("exports what a filter finds, as the command writes it", async () => {
    const visitor = await visitorWith();
    const providerId = await world.register({ name: "exported" });
    const page = await visitor.visit(`/activity?provider=${providerId}`);
    const [, path = ""] = /href="(\/activity\/export[^"]*)"/.exec(page.body) ?? [];
    const { status, headers, body } = await visitor.visit(path.replaceAll("&amp;", "&"));
    expect([status, headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    expect(headers["content-disposition"]).toMatch(
      /^attachment; filename="activity-\d{4}-\d\d-\d\d\.ndjson"$/,
    );
    const events = body
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events).toMatchObject([
      { event_type: "provider.created", provider_id: providerId, principal: "admin" },
    ]);
  });

  it("filters by what happened, who did it, what it is about, and when", async () => {
    const visitor = await visitorWith();
    const providerId = await world.register({ name: "filtered" });
    const { connection_id: connectionId } = await world.request(providerId);
    const count = async (query: string): Promise<number> =>
      rows((await visitor.visit(`/activity?${query}`)).body).length;
    expect(await count(`connection=${connectionId}`)).toBe(1);
    expect(await count(`provider=${providerId}`)).toBe(2);
    expect(await count(`provider=${providerId}&type=provider.created`)).toBe(1);
    expect(await count(`provider=${providerId}&agent=daemon&show=all`)).toBe(0);
    expect(await count(`provider=${providerId}&agent=admin&since=1h`)).toBe(2);
    expect(await count(`provider=${providerId}&show=requests`)).toBe(0);
    expect(await count(`provider=${providerId}&show=changes`)).toBe(2);
    const [from = "", until = ""] = [-1, 1].map((minutes) =>
      new Date(world.clock.nowMs() + minutes * 60_000).toISOString().slice(0, 16),
    );
    expect(await count(`provider=${providerId}&from=${from}&until=${until}`)).toBe(2);
    expect(await count(`provider=${providerId}&until=${from}`)).toBe(0);
    const late = await visitor.visit("/activity?from=14:00");
    expect([late.status, late.body.includes("such as 2026-12-01T14:00")]).toEqual([400, true]);
    const wrong = await visitor.visit("/activity?connection=nothing");
    expect([wrong.status, wrong.body.includes('role="alert"')]).toEqual([400, true]);
  });
});

describe("the last 24 hours", () => {
  it("tell what refreshes came to, since when they are counted, and which provider fails", async () => {
    const visitor = await visitorWith();
    world.answerToken = () =>
      json({ access_token: "a", token_type: "Bearer", refresh_token: "r", expires_in: 7_200 });
    const providerId = await world.register({ name: "dying" });
    const ids = [await world.connect(providerId), await world.connect(providerId)];
    for (const connectionId of ids) await world.clients.tokens.refreshToken({ connectionId });
    world.answerToken = () => json({ error: "invalid_client" }, 401);
    for (const connectionId of ids)
      await world.clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
    const { body } = await visitor.visit("/overview");
    expect(body).toContain("when the daemon started: it remembers none from before.");
    expect(body).toMatch(/<a class="good" title="[^"]+" href="\/connections\?state=active"><b>[1-9]/);
    expect(body).toMatch(/New token <b>2<\/b>/);
    expect(body).toMatch(/Failed for good <b>2<\/b>/);
    expect(body).toContain(`<a href="/providers/${providerId}"><bdi>dying</bdi></a>`);
    const page = await visitor.visit(`/providers/${providerId}`);
    expect(page.body).toContain("compare client id, secret and addresses with its console");
    expect(page.body).toMatch(/Last failed refreshes[\s\S]*Token refresh failed/);
    expect((await visitor.visit("/providers")).body).toMatch(/dying[\s\S]*?class="state (bad|warn)"/);
  });
});

describe("a token that ends within a day and cannot be refreshed", () => {
  it("is among what needs somebody, with the button that asks for consent", async () => {
    world.answerToken = () => json({ access_token: "a", token_type: "Bearer", expires_in: 7_200 });
    const connectionId = await world.connect(await world.register({ name: "unrefreshable" }));
    const { body } = await (await visitorWith()).visit("/overview");
    expect(body).toMatch(
      /unrefreshable<\/bdi><\/a>: Ask for consent again\.[\s\S]*and cannot be refreshed\./,
    );
    expect(body).toContain(`action="/connections/${connectionId}/consent"`);
  });
});

describe("adding a provider", () => {
  it("finds templates by what is submitted, the best first", async () => {
    const visitor = await visitorWith();
    const names = async (search: string): Promise<string[]> => {
      const { body } = await visitor.visit(`/providers/add?${new URLSearchParams({ search })}`);
      return [...body.matchAll(/href="\/providers\/add\/([^"]+)"/g)].map(([, name]) => name ?? "");
    };
    expect((await names("github")).slice(0, 2)).toEqual(["github", "github-app"]);
    expect((await names("")).length).toBeGreaterThan(200);
    expect(await names('"><script>')).toEqual([]);
    expect((await visitor.visit("/providers/add/nothing")).status).toBe(404);
  });

  it("says which variable is wrong, keeps no secret, and adds it then", async () => {
    const visitor = await visitorWith();
    const form = await visitor.visit("/providers/add/keycloak");
    expect(form.body).toContain("/auth/callback/keycloak");
    expect(form.body).toContain("https://www.keycloak.org/securing-apps/oidc-layers");
    const fields = {
      name: "keycloak",
      client_id: "nexus",
      client_secret: "s3cr3t-of-it",
      scopes: "openid offline_access",
    };
    const refused = await submit(visitor, "/providers/add/keycloak", {
      ...fields,
      "var-host": "not a host",
      "var-realm": "acme",
    });
    expect(refused.status).toBe(400);
    expect(refused.body).toMatch(/id="field-var-host-error">/);
    expect(refused.body).toContain('value="not a host"');
    expect(refused.body).not.toContain("s3cr3t-of-it");
    const added = await submit(visitor, "/providers/add/keycloak", {
      ...fields,
      "var-host": "127.0.0.1:1",
      "var-realm": "acme",
    });
    expect(added.body).not.toContain("s3cr3t-of-it");
    const { provider } = await world.clients.providers.getProvider({
      key: { case: "name", value: "keycloak" },
    });
    expect(provider).toMatchObject({
      template: "keycloak",
      issuer: "https://127.0.0.1:1/realms/acme",
      clientId: "nexus",
      clientSecretSet: true,
    });
    // It cannot be reached: the page says so, and that it is registered all the same.
    expect([added.status, added.body.includes('class="problem" role="alert"')]).toEqual([200, true]);
    const again = await submit(visitor, "/providers/add/keycloak", { ...fields, "var-host": "127.0.0.1:1" });
    expect(again.status).toBe(409);
  });

  it("asks for the scopes that are ticked beside those that are entered", async () => {
    const visitor = await visitorWith();
    const form = await visitor.visit("/providers/add/github");
    expect(form.body).toMatch(/<input type="checkbox" name="scope" value="repo"\/>\s*<span>See and change/);
    const sent = new URLSearchParams({
      form_token: await visitor.formToken(),
      name: "github",
      client_id: "c",
    });
    for (const [name, value] of [
      ["client_secret", "s"],
      ["scopes", "read:user"],
      ["scope", "repo"],
      ["scope", "gist"],
    ])
      sent.append(name ?? "", value ?? "");
    const headers = { "content-type": "application/x-www-form-urlencoded", origin: visitor.origin };
    const body = sent.toString();
    const added = await visitor.visit("/providers/add/github", { method: "POST", body, headers });
    expect(added.status).toBe(303);
    const { provider } = await world.clients.providers.getProvider({
      key: { case: "name", value: "github" },
    });
    expect(provider?.scopes).toEqual(["read:user", "repo", "gist"]);
  });

  it("takes a public client of an issuer that the catalogue lacks, and deletes it again", async () => {
    const visitor = await visitorWith();
    const added = await submit(visitor, "/providers/new", {
      name: "own",
      issuer: "https://localhost:1/x",
      client_id: "c",
      scopes: "openid",
    });
    expect(added.status).toBe(200);
    const { provider } = await world.clients.providers.getProvider({ key: { case: "name", value: "own" } });
    expect(provider).toMatchObject({ enableDiscovery: true, clientSecretSet: false, scopes: ["openid"] });
    const path = `/providers/${provider?.id}`;
    expect((await visitor.visit(path)).body).toMatch(
      /Delete this provider\?[\s\S]*<b>0 active connections<\/b>/,
    );
    const deleted = await submit(visitor, `${path}/delete`, {});
    expect(deleted.headers["location"]).toBe("/providers?notice=provider_deleted");
    expect((await visitor.visit(path)).status).toBe(404);
  });
});

describe("a connection among others", () => {
  it("is refreshed and revoked with those that are selected, after a question", async () => {
    world.answerToken = () =>
      json({ access_token: "a", token_type: "Bearer", refresh_token: "r", expires_in: 7_200 });
    const providerId = await world.register({ name: "bulk" });
    const ids = [
      await world.connect(providerId),
      await world.connect(providerId),
      await world.connect(providerId),
    ];
    const visitor = await visitorWith();
    const list = await visitor.visit(`/connections?provider=${providerId}`);
    expect(ids.every((id) => list.body.includes(`value="${id}"`))).toBe(true);
    const send = async (fields: readonly (readonly [string, string])[]) => {
      const body = new URLSearchParams([
        ["form_token", await visitor.formToken()],
        ...fields.map(([a, b]): [string, string] => [a, b]),
      ]);
      const headers = { "content-type": "application/x-www-form-urlencoded", origin: visitor.origin };
      return await visitor.visit("/connections", { method: "POST", body: body.toString(), headers });
    };
    const picked = ids.slice(0, 2).map((id) => ["id", id] as const);
    expect((await send([["do", "refresh"]])).headers["location"]).toBe("/connections?notice=none_selected");
    const refreshed = await send([...picked, ["do", "refresh"]]);
    expect(refreshed.headers["location"]).toBe("/connections?notice=all_refreshed");
    const of = async (connectionId = "") =>
      (await world.clients.connections.getConnection({ connectionId })).connection;
    expect([(await of(ids[0]))?.revision, (await of(ids[2]))?.revision]).toEqual([2n, 1n]);

    expect(list.body).toContain("Revoke the selected connections?");
    expect((await send([...picked, ["do", "revoke"]])).headers["location"]).toBe(
      "/connections?notice=all_revoked",
    );
    const statuses = await Promise.all(ids.map(async (id) => (await of(id))?.status));
    expect(statuses).toEqual([ConnectionStatus.REVOKED, ConnectionStatus.REVOKED, ConnectionStatus.ACTIVE]);
    const refused = await send([...picked, ["id", ids[2] ?? ""], ["do", "refresh"]]);
    expect([refused.status, refused.body.includes("1 connection done.")]).toEqual([200, true]);
  });

  it("has its history in sentences and by the day, each event with an address of its own", async () => {
    const providerId = await world.register({ name: "history" });
    const connectionId = await world.connect(providerId);
    for (let index = 0; index < 3; index++) await world.clients.tokens.refreshToken({ connectionId });
    const visitor = await visitorWith();
    const { body } = await visitor.visit(`/connections/${connectionId}`);
    expect(body).toMatch(/<b>Token refreshed<\/b> 3 times/);
    expect(body).toContain("<b>Connected</b>");
    expect(body).toContain(`/connections?user=${encodeURIComponent("ada")}`);
    expect(body).toContain(`href="/activity?connection=${connectionId}">The same in the activity`);
    const [, sequence] = /href="\/activity\/(\d+)"/.exec(body) ?? [];
    const event = await visitor.visit(`/activity/${sequence}`);
    expect([event.status, event.body.includes(`/connections/${connectionId}`)]).toEqual([200, true]);
    expect((await visitor.visit("/activity/999999")).status).toBe(404);
    expect((await visitor.visit("/activity/nothing")).status).toBe(404);
  });

  it("says who read its token lately, and leads to what is older", async () => {
    const providerId = await world.register({ name: "read" });
    const connectionId = await world.connect(providerId);
    for (let index = 0; index < 61; index++)
      await world.clients.connections.requestConnection({ connectionId });
    const restriction = { userIds: ["ada"] };
    const agent = { name: "last-reader", role: Role.AGENT, restriction };
    const { key } = await world.clients.access.createApiKey(agent);
    await clientsOf(key).tokens.getToken({ connectionId });
    const visitor = await visitorWith();
    const { body } = await visitor.visit(`/connections/${connectionId}`);
    expect(body).toMatch(/Token read by <bdi>key:last-reader<\/bdi> <time/);
    const [, older = ""] = /href="(\/activity\?[^"]*page=[^"]*)">Older events/.exec(body) ?? [];
    const rest = await visitor.visit(older.replaceAll("&amp;", "&"));
    expect(rest.body).toContain(">Connected<");
  });

  it("has a list with those of its user alone, which offers another one for them", async () => {
    const { body } = await (await visitorWith()).visit("/connections?user=ada");
    expect(body).toMatch(/<h1>Connections of <bdi>ada<\/bdi><\/h1>/);
    expect(body).toContain('href="/connections/new?user=ada"');
  });
});

describe("the list of providers", () => {
  it("is searched by how their names begin", async () => {
    for (const name of ["search-one", "search-two"]) await world.register({ name });
    const { body } = await (await visitorWith()).visit("/providers?search=search-o");
    expect([body.includes("search-one"), body.includes("search-two")]).toEqual([true, false]);
    const none = await (await visitorWith()).visit("/providers?search=nobody");
    expect(none.body).toContain("No provider fits.");
  });
});

describe("the settings", () => {
  it("have a test of who is notified, which says what each receiver made of it", async () => {
    const visitor = await visitorWith();
    expect((await visitor.visit("/settings")).body).toContain("Send a test notification");
    const { status, body } = await submit(visitor, "/settings/notify", {});
    expect([status, body]).toEqual([
      200,
      expect.stringMatching(/command<\/dt>.*Not taken<\/span> <code>exit_1</),
    ]);
  });

  it("are shown with where each came from, to an admin alone, and hold no secret", async () => {
    const { body } = await (await visitorWith()).visit("/settings");
    expect(body).toMatch(
      /NEXUS_OPS_LISTEN<\/code>[\s\S]*?<bdi>127\.0\.0\.1:\d+<\/bdi>[\s\S]*?<b>environment<\/b>/,
    );
    expect(body).toContain("NEXUS_JWT_AUDIENCE");
    const own = (await (await visitorWith()).visit("/settings?own=1")).body;
    expect([own.includes("NEXUS_OPS_LISTEN"), own.includes("NEXUS_JWT_AUDIENCE")]).toEqual([true, false]);
    expect(body).not.toContain(world.place.apiKey);
    const { key } = await world.clients.access.createApiKey({ name: "looker", role: Role.OPERATOR });
    expect((await (await visitorWith(key)).visit("/settings")).status).toBe(403);
  });
});
