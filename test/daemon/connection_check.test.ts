import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import { CheckOutcome, ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../cli/fake_shell.js";
import { perSuite } from "../lifetimes.js";
import { json, type Script } from "../oauth/scripted_server.js";
import { clientsWithKey } from "./clients_with_key.js";
import { failureOf } from "./errors.js";
import { registered } from "./requests.js";
import { goodTokens, ScriptedWorld } from "./scripted_world.js";

const refused = (words = "") =>
  json({ secret: "of the body" }, 401, { "www-authenticate": `Bearer ${words}`.trim() });
const accepted = json({ sub: "1", secret: "of the body" });

describe("a check of a connection", () => {
  const world = perSuite(() => ScriptedWorld.make());
  /** What the API was sent. */
  const sent: (string | undefined)[] = [];
  let answer: (authorization: string) => Script;
  let count = 0;
  beforeEach(() => {
    sent.length = 0;
    answer = () => accepted;
    world.answerToken = goodTokens();
    world.api.set("/user", (response, request) => {
      const { authorization = String(request.headers["x-api-key"]) } = request.headers;
      sent.push(authorization);
      answer(authorization)(response, request);
    });
  });

  const keyed = async (more: object = {}): Promise<{ id: string; name: string }> => {
    const name = `keyed-${++count}`;
    const providerId = await registered(world.clients, {
      ...{ name, authType: AuthType.API_KEY, apiBaseUrl: world.provider.origin, userInfoEndpoint: "/user" },
      ...more,
    });
    const credentials = { api_key: "key-of-ada" };
    const imported = { providerId, userId: "ada", credentials };
    const { connection } = await world.clients.connections.importConnection(imported);
    sent.length = 0;
    return { id: connection?.id ?? "", name };
  };
  const consented = async (): Promise<string> => {
    const api = { api_base_url: world.provider.origin, user_info_endpoint: "/user" };
    const id = await world.connect(await world.register(api));
    sent.length = 0;
    return id;
  };
  const check = (connectionId: string) => world.clients.connections.checkConnection({ connectionId });
  const events = async (connectionId: string) => {
    const { events } = await world.clients.audit.listAuditEvents({
      connectionId,
      eventType: "connection_checked",
    });
    return events.map(({ reason }) => reason);
  };

  it("says that the API accepts it, shows nothing of the answer, and is on record", async () => {
    const id = await consented();
    const answered = await check(id);
    expect(answered).toMatchObject({
      outcome: CheckOutcome.ACCEPTED,
      status: 200,
      url: `${world.provider.origin}/user`,
      connection: { id, status: ConnectionStatus.ACTIVE, revision: 1n },
    });
    expect(sent).toEqual(["Bearer access-1-secret"]);
    const shown = JSON.stringify(answered, (_, value) => (typeof value === "bigint" ? `${value}` : value));
    expect(shown).not.toMatch(/secret/);
    expect(await events(id)).toEqual(["accepted, 200"]);
  });

  it("refreshes a token that the API refuses, and tries the next one", async () => {
    const id = await consented();
    answer = (authorization) => (authorization.includes("access-1") ? refused() : accepted);
    expect(await check(id)).toMatchObject({
      outcome: CheckOutcome.ACCEPTED,
      connection: { status: ConnectionStatus.ACTIVE, revision: 2n },
    });
    expect(sent).toEqual(["Bearer access-1-secret", "Bearer access-2-secret"]);
  });

  it("needs attention where no refresh helps, until the API accepts it again", async () => {
    const id = await consented();
    answer = () => refused('error="invalid_token"');
    const problem = { reason: "credential_refused" };
    const attention = { id, status: ConnectionStatus.ATTENTION, problem };
    for (let times = 0; times < 2; times++)
      expect(await check(id)).toMatchObject({
        ...{ outcome: CheckOutcome.REFUSED, status: 401, connection: attention },
      });
    expect(sent).toHaveLength(3);
    const { clients } = world;
    expect(await failureOf(clients.tokens.getToken({ connectionId: id }))).toMatchObject({
      ...{ code: "FailedPrecondition", reason: "ATTENTION_REQUIRED" },
    });
    const listed = await clients.connections.listConnections({ status: ConnectionStatus.ATTENTION });
    expect(listed.connections).toMatchObject([attention]);
    answer = () => json({}, 500);
    expect(await check(id)).toMatchObject({ outcome: CheckOutcome.UNCLEAR, connection: attention });
    answer = () => accepted;
    expect(await check(id)).toMatchObject({
      outcome: CheckOutcome.ACCEPTED,
      connection: { status: ConnectionStatus.ACTIVE, revision: 2n },
    });
    expect((await clients.tokens.getToken({ connectionId: id })).token?.revision).toBe(2n);
    expect(await events(id)).toEqual(
      expect.arrayContaining(["refused, 401", "unclear, 500", "accepted, 200"]),
    );
    world.clock.advance(3_600_000);
    expect((await clients.tokens.getToken({ connectionId: id })).token?.revision).toBe(3n);
  });

  it("refreshes a refused token that has expired, and a token that it may not get asks for a consent", async () => {
    const id = await consented();
    answer = () => refused();
    await check(id);
    world.clock.advance(3_600_000);
    expect(await check(id)).toMatchObject({
      ...{ outcome: CheckOutcome.REFUSED, connection: { revision: 3n, status: ConnectionStatus.ATTENTION } },
    });
    world.clock.advance(3_600_000);
    world.answerToken = () => json({ error: "invalid_grant" }, 400);
    expect(await failureOf(check(id))).toMatchObject({ reason: "ATTENTION_REQUIRED" });
    const { connection } = await world.clients.connections.getConnection({ connectionId: id });
    expect(connection).toMatchObject({ problem: { reason: "reauth_required" } });
  });

  it("comes by itself at the interval of the profile, and every list says what came of it", async () => {
    const { id, name } = await keyed({ checkInterval: { seconds: 300n } });
    answer = () => refused();
    const { dataDir } = world.place.config;
    const listed = async () => {
      const shell = fakeShell({ env: { NEXUS_DATA_DIR: dataDir }, userName: () => "ada" });
      await run(["connections", "list", "--provider", name], shell);
      return shell.out();
    };
    const watched = new AbortController();
    const { connections } = world.clients;
    const attention = async () => {
      for await (const { event } of connections.watchConnections({}, { signal: watched.signal })) {
        if (event.case !== "connection" || event.value.id !== id) continue;
        if (event.value.status === ConnectionStatus.ATTENTION) return event.value.problem;
      }
      return undefined;
    };
    const seen = attention();
    world.clock.advance(330_000);
    expect(await seen).toMatchObject({ reason: "credential_refused" });
    watched.abort();
    expect(await listed()).toMatch(/attention +credential_refused/);
    expect(await events(id)).toEqual(["refused, 401"]);
  });

  it.each([
    ["a redirect", (response: Parameters<Script>[0]) => response.writeHead(302, { location: "/" }).end()],
    ["nothing", (response: Parameters<Script>[0]) => response.socket?.destroy()],
  ])("fails where the API answers with %s, and changes nothing", async (_, script) => {
    const id = await consented();
    answer = () => (response) => void script(response);
    expect(await failureOf(check(id))).toMatchObject({ code: "Unavailable" });
    const { connection } = await world.clients.connections.getConnection({ connectionId: id });
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
  });

  it("leaves a token alone whose refresh is retried", async () => {
    const id = await consented();
    answer = () => refused();
    world.answerToken = () => json({}, 503);
    expect(await failureOf(check(id))).toMatchObject({ code: "Unavailable" });
    const { connection } = await world.clients.connections.getConnection({ connectionId: id });
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
  });

  it.each([
    ["403 for want of a scope", 403, 'Bearer error="insufficient_scope", scope="all"', CheckOutcome.UNCLEAR],
    ["401 for want of a scope", 401, 'Bearer error="insufficient_scope"', CheckOutcome.UNCLEAR],
    ["403", 403, "", CheckOutcome.UNCLEAR],
    ["404", 404, "", CheckOutcome.UNCLEAR],
    ["429", 429, "", CheckOutcome.UNCLEAR],
  ])("changes nothing of a token after %s", async (_, status, challenge, outcome) => {
    const id = await consented();
    answer = () => json({}, status, challenge === "" ? {} : { "www-authenticate": challenge });
    const connection = { status: ConnectionStatus.ACTIVE, revision: 1n };
    expect(await check(id)).toMatchObject({ outcome, status, connection });
    expect(sent).toHaveLength(1);
  });

  it("of a key goes by what its trial goes by, and another key ends the attention", async () => {
    const { id } = await keyed();
    for (const status of [401, 403]) {
      answer = () => json({}, status);
      expect(await check(id)).toMatchObject({
        outcome: CheckOutcome.REFUSED,
        connection: { status: ConnectionStatus.ATTENTION, problem: { reason: "credential_refused" } },
      });
    }
    expect(sent).toEqual(["key-of-ada", "key-of-ada"]);
    answer = () => accepted;
    const replaced = await world.clients.connections.replaceCredential({
      ...{ connectionId: id, credentials: { api_key: "another" } },
    });
    expect(replaced.connection).toMatchObject({ status: ConnectionStatus.ACTIVE, revision: 2n });
    expect(await check(id)).toMatchObject({ outcome: CheckOutcome.ACCEPTED });
  });

  it("is refused where the profile says nothing to try, and where nobody may know of it", async () => {
    const { id } = await keyed({ userInfoEndpoint: "" });
    expect(await failureOf(check(id))).toMatchObject({ code: "FailedPrecondition", reason: "NO_PROBE" });
    const absent = "00000000-0000-4000-8000-000000000000";
    expect(await failureOf(check(absent))).toMatchObject({ code: "NotFound" });
    expect(sent).toEqual([]);
  });

  it("is judged as the request that it is", async () => {
    const { id } = await keyed();
    const agentWith = (path: string) => ({
      ...{ name: `agent-${path.length}`, role: Role.AGENT },
      restriction: { userIds: ["ada"], paths: [path] },
    });
    const others = await clientsWithKey(world, agentWith("/posts/*"));
    const call = others.connections.checkConnection({ connectionId: id });
    expect(await failureOf(call)).toMatchObject({ code: "PermissionDenied" });
    expect(sent).toEqual([]);
    const own = await clientsWithKey(world, agentWith("/user"));
    expect(await own.connections.checkConnection({ connectionId: id })).toMatchObject({ status: 200 });
  });

  it("is a command, whose exit code says the outcome", async () => {
    const { id, name } = await keyed();
    const { dataDir } = world.place.config;
    const ran = async (...more: string[]) => {
      const shell = fakeShell({ env: { NEXUS_DATA_DIR: dataDir }, userName: () => "ada" });
      return [await run(["connections", "check", name, ...more], shell), shell.out(), shell.err()];
    };
    const url = `${world.provider.origin}/user`;
    expect(await ran()).toEqual([0, `GET ${url} returned 200: it accepts the credential\n`, ""]);
    answer = () => json({ secret: "of the body" }, 503);
    expect(await ran()).toEqual([1, `GET ${url} returned 503: that says nothing of the credential\n`, ""]);
    answer = () => refused();
    expect(await ran()).toEqual([22, `GET ${url} returned 401: it refuses the credential\n`, ""]);
    const [code, out] = await ran("--json");
    expect([code, JSON.parse(String(out))]).toMatchObject([22, { status: 401, connection: { id } }]);
  });
});
