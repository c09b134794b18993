import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuthType, GrantType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import { freePort } from "../../../free_port.js";
import { perSuite } from "../../../lifetimes.js";
import { json, startScriptedServer } from "../../../oauth/scripted_server.js";
import { key, ListenerWorld } from "./listener_world.js";

const world = perSuite(() => ListenerWorld.start());
const keyOf = async (
  name: string,
  restriction: { userIds?: string[]; providers?: string[]; methods?: string[]; paths?: string[] } = {
    userIds: ["*"],
  },
) => {
  const { clients } = world.daemon;
  const made = await clients.access.createApiKey({ name, role: Role.AGENT, restriction });
  await world.daemon.caughtUp();
  return made.key;
};

describe("the egress listener", () => {
  it("puts the credential in for a caller with an API key, of the user that the proxy's URL names", async () => {
    const program = await world.program("ada", await keyOf("agent", { userIds: ["ada", "bob"] }));
    expect(await program.ask("/v1/user")).toMatchObject({ status: 200, body: "ok" });
    expect(await program.ask("/v1/user", { version: 2 })).toMatchObject({ status: 200 });
    expect(world.api.received.at(-1)?.headers).toMatchObject({ "x-api-key": key });
    expect(JSON.stringify(world.api.received)).not.toContain("proxy-authorization");
    const [read] = await auditEvents(world.daemon.clients, {
      connectionId: world.connectionId,
      eventType: "token_retrieved",
      principal: "key:agent",
    });
    expect(read).toBeDefined();
  });

  it.each([1, 2] as const)(
    "keeps a connection of HTTP/%i to an API for one caller alone",
    async (version) => {
      const restriction = { userIds: ["ada"] };
      const keys = [
        await keyOf(`first-${version}`, restriction),
        await keyOf(`second-${version}`, restriction),
      ];
      const ports: unknown[] = [];
      world.api.serve = ({ socket }, response) => {
        ports.push(socket.remotePort);
        response.end("ok");
      };
      onTestFinished(() => {
        world.api.serve = undefined;
      });
      for (const at of [0, 1, 0, 1]) {
        const program = await world.program("ada", keys[at] ?? "");
        expect((await program.ask("/v1/user", { version })).status).toBe(200);
      }
      expect(ports.slice(2)).toEqual(ports.slice(0, 2));
      expect(new Set(ports).size).toBe(2);
    },
  );

  it("takes the one user that a key is restricted to, and asks for one otherwise", async () => {
    const adas = await world.program("", await keyOf("adas", { userIds: ["ada"] }));
    expect((await adas.ask("/v1/user")).status).toBe(200);
    const anybodys = await world.program("", await keyOf("anybodys"));
    await expect(anybodys.ask("/v1/user")).rejects.toThrow(/^407.*whose connections/s);
  });

  it("serves nobody without a credential or with a wrong one, but for the certificate of its authority", async () => {
    for (const password of ["", "wrong"])
      await expect((await world.program("ada", password)).ask("/v1/user")).rejects.toThrow(/^407/);
    const unused = world.daemon.place.config.dataDir;
    expect(await world.ca()).toBe(readFileSync(join(unused, "egress-ca.pem"), "utf8"));
  });

  it("serves nobody whose role uses no credential, as an operator", async () => {
    const { access } = world.daemon.clients;
    const { key: secret } = await access.createApiKey({ name: "ops", role: Role.OPERATOR });
    await world.daemon.caughtUp();
    const program = await world.program("ada", secret);
    await expect(program.ask("/v1/user")).rejects.toThrow(/^403.*requires token.read/s);
  });

  it("gives no credential beyond what the caller is restricted to", async () => {
    const before = world.api.received.length;
    const bobs = await world.program("ada", await keyOf("bobs", { userIds: ["bob"] }));
    expect((await bobs.ask("/v1/user")).status).toBe(403);
    const others = await world.program("ada", await keyOf("others", { providers: ["another"] }));
    await expect(others.ask("/v1/user")).rejects.toThrow(/^403.*belongs to no provider/s);
    expect(world.api.received.length).toBe(before);
  });

  it("sends what a key may that is restricted to methods and paths, which gets no token itself", async () => {
    const restriction = { userIds: ["ada"], methods: ["GET"], paths: ["/v1/user*"] };
    const secret = await keyOf("reader", restriction);
    const program = await world.program("ada", secret);
    expect((await program.ask("/v1/users?page=2")).status).toBe(200);
    for (const [path, method] of [
      ["/v1/users", "POST"],
      ["/v1/repos", "GET"],
    ] as const)
      expect(await program.ask(path, { method })).toMatchObject({ status: 403 });
    expect(await program.ask("/v1/users/%2e%2e/repos")).toMatchObject({ status: 400 });
    const overridden = { headers: { "x-http-method-override": "DELETE" } };
    expect((await program.ask("/v1/users", overridden)).status).toBe(400);
    const { connectionId } = world;
    const everything = { userIds: ["ada"], paths: ["/*"] };
    const whole = await world.program("ada", await keyOf("sending", everything));
    expect((await whole.ask("/v1/repos", { method: "POST" })).status).toBe(200);
    const sending = { name: "sending-all", role: Role.AGENT, restriction: everything };
    const { tokens: none } = await clientsWithKey(world.daemon, sending);
    await expect(none.getToken({ connectionId })).rejects.toThrow(/gets no token/);
    const own = { name: "reading", role: Role.AGENT, restriction };
    const { tokens } = await clientsWithKey(world.daemon, own);
    await expect(tokens.getToken({ connectionId })).rejects.toThrow(/gets no token/);
    await expect(
      tokens.getToken({ connectionId, request: { method: "GET", url: "https://api.localhost/v1/user" } }),
    ).rejects.toThrow(/gets no token/);
  });

  it("connects where no person is needed, for a key that is restricted to methods", async () => {
    const tokens = { access_token: "of-a-machine", token_type: "Bearer", expires_in: 3600 };
    const server = await startScriptedServer(json(tokens));
    onTestFinished(() => server.close());
    const grant = { authType: AuthType.OAUTH2, grantType: GrantType.CLIENT_CREDENTIALS };
    const client = { clientId: "machine", clientSecret: "a secret", tokenUrl: `${server.origin}/token` };
    const apiBaseUrl = `https://up.localhost:${world.api.port}`;
    await world.daemon.clients.providers.createProvider({
      provider: { name: "machine", ...grant, ...client, apiBaseUrl },
    });
    const program = await world.program(
      "ada",
      await keyOf("machine", { userIds: ["ada"], methods: ["GET"] }),
    );
    world.daemon.clock.advance(1_000);
    expect(await program.ask("/", { host: "up.localhost" })).toMatchObject({ status: 200, body: "ok" });
    expect(world.api.received.at(-1)?.headers).toMatchObject({ authorization: "Bearer of-a-machine" });
  });

  it("reaches no other host unless NEXUS_EGRESS_NETWORK says so, and no address inside", async () => {
    const program = await world.program("ada", await keyOf("reaching"));
    await expect(program.tunnel("other.localhost:443")).rejects.toThrow(/^403.*NEXUS_EGRESS_NETWORK/s);
    const open = await ListenerWorld.start({ NEXUS_EGRESS_NETWORK: "open" });
    try {
      const { key: token } = await open.daemon.clients.access.createApiKey({
        name: "open",
        role: Role.AGENT,
        restriction: { userIds: ["*"] },
      });
      const reaching = await open.program("ada", token);
      for (const host of ["169.254.169.254:80", "10.0.0.1:443", "metadata.google.internal:80"])
        await expect(reaching.tunnel(host)).rejects.toThrow(/^403.*(metadata|private)/s);
    } finally {
      await open.stop();
    }
  });

  it("goes on with the credential that took the place of another, with no new session", async () => {
    const program = await world.program("ada", await keyOf("replacing"));
    const socket = await program.tls("api.localhost", ["http/1.1"]);
    const ask = async () => {
      socket.write(`GET /v1/user HTTP/1.1\r\nhost: api.localhost:${world.api.port}\r\n\r\n`);
      await once(socket, "data");
      return world.api.received.at(-1)?.headers["x-api-key"];
    };
    expect(await ask()).toBe(key);
    const { connectionId } = world;
    await world.daemon.clients.connections.replaceCredential({
      connectionId,
      credentials: { api_key: "another" },
    });
    expect(await ask()).toBe("another");
    await world.daemon.clients.connections.replaceCredential({ connectionId, credentials: { api_key: key } });
    expect(await ask()).toBe(key);
    socket.destroy();
  });

  it("counts by provider and status, and has one audit event a minute with session, count and trace", async () => {
    const program = await world.program("ada", await keyOf("counted"));
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
    const socket = await program.tls("api.localhost", ["http/1.1"]);
    for (const _ of [1, 2]) await program.ask("/v1/user", { headers: { traceparent } });
    expect(world.api.received.at(-1)?.headers).toMatchObject({ traceparent });
    await expect(program.tunnel("other.localhost:443")).rejects.toThrow(/^403/);
    const metrics = await (await fetch(`${world.daemon.place.opsUrl}/metrics`)).text();
    expect(metrics).toMatch(/nexus_egress_requests_total\{provider="acme",status="200"\} \d+/);
    expect(metrics).toMatch(/nexus_egress_refusals_total\{reason="host-refused"\} \d+/);
    expect(metrics).toMatch(/nexus_egress_refusals_total\{reason="not-authenticated"\} \d+/);
    const asked = { eventType: "egress_used", principal: "key:counted" };
    expect(await auditEvents(world.daemon.clients, asked)).toEqual([]);
    world.daemon.clock.advance(60_000);
    const used = () => auditEvents(world.daemon.clients, asked);
    await expect.poll(used).toMatchObject([
      {
        connectionId: world.connectionId,
        count: 2n,
        userId: "ada",
        session: expect.stringMatching(/./),
        traceId: trace,
      },
    ]);
    const read = await auditEvents(world.daemon.clients, { ...asked, eventType: "token_retrieved" });
    const [{ session } = { session: "" }] = await used();
    const connectionId = world.connectionId;
    const expected = { connectionId, userId: "ada", session, traceId: trace };
    expect(read).toContainEqual(expect.objectContaining(expected));
    socket.destroy();
  });

  it("ends what is open when the key is revoked", async () => {
    world.api.respond = (_, response) => void response.writeHead(200).write("first ");
    const program = await world.program("ada", await keyOf("revoked"));
    const before = world.api.received.length;
    const settled = program.ask("/v1/stream", { version: 2 }).then(
      () => "whole",
      () => "broken off",
    );
    await expect.poll(() => world.api.received.length).toBe(before + 1);
    await world.daemon.clients.access.revokeApiKey({ key: { case: "name", value: "revoked" } });
    expect(await settled).toBe("broken off");
    await expect(program.ask("/v1/user")).rejects.toThrow(/^407/);
  });

  it("ends what is open when the connection is revoked, and answers with the link from then on", async () => {
    world.api.respond = (_, response) => void response.writeHead(200).write("first ");
    const program = await world.program("ada", await keyOf("going-on"));
    const before = world.api.received.length;
    const settled = program.ask("/v1/stream").then(
      () => "whole",
      () => "broken off",
    );
    await expect.poll(() => world.api.received.length).toBe(before + 1);
    await world.daemon.clients.connections.revokeConnection({ connectionId: world.connectionId });
    expect(await settled).toBe("broken off");
    const { status, body } = await program.ask("/v1/user");
    expect([status, JSON.parse(body)]).toEqual([
      403,
      expect.objectContaining({ consent_url: expect.any(String) }),
    ]);
  });
});

describe("a key that ends", () => {
  const open = perSuite(() => ListenerWorld.start({ NEXUS_EGRESS_NETWORK: "open" }));

  it.each(["expires", "is revoked", "is not renewed"])(
    "ends a stream, and a tunnel that nobody looks into, when it %s",
    async (how) => {
      const { api, daemon } = open;
      const { access } = daemon.clients;
      api.respond = (_, response) => void response.writeHead(200).write("first ");
      for (const what of ["stream", "tunnel"]) {
        const name = `${what}-${how.slice(-3)}`;
        const expiresAt = timestampFromMs(daemon.clock.nowMs() + 60_000);
        const restriction = { userIds: ["ada"] };
        const life = how === "is not renewed" ? { lease: durationFromMs(60_000) } : { expiresAt };
        const made = await access.createApiKey({ name, role: Role.AGENT, restriction, ...life });
        await daemon.caughtUp();
        const program = await open.program("ada", made.key);
        const before = api.received.length;
        const ended =
          what === "stream"
            ? program.ask("/v1/stream").catch(() => "broken off")
            : once((await program.tunnel(`other.localhost:${api.port}`)).resume(), "close");
        if (what === "stream") await expect.poll(() => api.received.length).toBe(before + 1);
        if (how !== "is revoked") daemon.clock.advance(60_000);
        else await access.revokeApiKey({ key: { case: "name", value: name } });
        expect(await ended).toEqual(what === "stream" ? "broken off" : [expect.any(Boolean)]);
        await expect(program.ask("/v1/user")).rejects.toThrow(/^407/);
      }
    },
  );
});

describe("a restart of the daemon under load", () => {
  const listen = perSuite(async () => ({ address: `127.0.0.1:${await freePort()}` }));
  const restarted = perSuite(() => ListenerWorld.start({ NEXUS_EGRESS_LISTEN: listen.address }));

  it("fails what was in flight as a closed connection, and serves what comes then by the same proxy", async () => {
    const { api, daemon } = restarted;
    api.respond = ({ path }, response) =>
      void (path.endsWith("/held") ? response.writeHead(200).write("held") : response.end("ok"));
    const restriction = { userIds: ["ada"] };
    const made = await daemon.clients.access.createApiKey({ name: "agent", role: Role.AGENT, restriction });
    await daemon.caughtUp();
    const program = await restarted.program("ada", made.key);
    const load = Array.from({ length: 20 }, (_, at) =>
      program.ask("/v1/held", { version: at % 2 === 0 ? 1 : 2 }).then(
        () => "whole",
        () => "broken off",
      ),
    );
    await expect.poll(() => api.received.length, { timeout: 20_000 }).toBe(20);
    await daemon.restart();
    expect(new Set(await Promise.all(load))).toEqual(new Set(["broken off"]));
    for (const version of [1, 2] as const)
      expect(await program.ask("/v1/user", { version })).toMatchObject({ status: 200, body: "ok" });
  });
});

describe("the authority of a daemon", () => {
  it("is the same after its sealing key was rotated and retired, and the daemon restarted", async () => {
    const { daemon } = world;
    const { keyring } = daemon.clients;
    const before = await world.ca();
    const ring = async () => (await keyring.getKeyring({})).keyring;
    const old = (await ring())?.keys[0]?.keyId ?? "";
    await keyring.addKey({});
    await keyring.rotateKeyring({});
    await expect.poll(ring, { timeout: 20_000 }).toMatchObject({ rotating: false, remaining: 0n });
    await keyring.retireKey({ keyId: old });
    await daemon.restart();
    expect(await world.ca()).toBe(before);
  });
});
