import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Place } from "../daemon/harness.js";
import { registered, requestOf } from "../daemon/requests.js";
import { Authority } from "../fakes/certificates.js";
import { OtlpReceiver } from "../fakes/otlp_receiver.js";
import { type ScriptedServer, startScriptedServer } from "../oauth/scripted_server.js";
import { temporaryFolder } from "../temporary_folder.js";
import { type Canary, filesOf, formsOf, foundIn } from "./canaries.js";

const mark = (kind: string): string => `${kind}-canary-${randomBytes(12).toString("hex")}`;

/** A whole life of a daemon with marked secrets of every kind; then they are looked for in all that it left behind. */
describe("no secret in clear", { timeout: 180_000 }, () => {
  const canaries: Canary[] = [];
  /** What was said to callers that were refused, by what they asked. */
  const errors: string[] = [];
  const outputs: string[] = [];
  const processes: string[] = [];
  let metrics = "";
  let audit = "";
  let listings = "";
  let backup: Buffer = Buffer.alloc(0);
  let place: Place;
  let provider: ScriptedServer;
  let traces: OtlpReceiver;
  const keyFolder = temporaryFolder();

  const plant = <T extends string>(kind: string, value: T): T => {
    canaries.push({ kind, value });
    return value;
  };
  const refused = async (call: Promise<unknown>): Promise<void> => {
    try {
      await call;
    } catch (thrown) {
      const { message, details, metadata } = ConnectError.from(thrown);
      const trailers = [...metadata].map(([name, value]) => `${name}: ${value}`);
      errors.push(
        JSON.stringify([message, details, trailers], (_key, value) =>
          typeof value === "bigint" ? `${value}` : value,
        ),
      );
      return;
    }
    throw new Error("a call that must fail did not");
  };
  const asked = async (url: string, init: RequestInit): Promise<Response> => {
    const response = await fetch(url, { redirect: "manual", ...init });
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    errors.push(`${response.status} ${headers.join("\n")}\n${await response.clone().text()}`);
    return response;
  };

  beforeAll(async () => {
    const encryptionKey = randomBytes(32);
    canaries.push({ kind: "encryption key", value: encryptionKey });
    writeFileSync(join(keyFolder, "encryption.key"), `${encryptionKey.toString("base64")}\n`, {
      mode: 0o600,
    });
    const tls = new Authority("canary").issueServer();
    writeFileSync(join(keyFolder, "tls.key"), tls.key, { mode: 0o600 });
    writeFileSync(join(keyFolder, "tls.crt"), tls.cert);
    canaries.push({
      kind: "TLS key",
      value: Buffer.from(tls.key.split("\n").slice(1, -2).join(""), "base64").subarray(40, 72),
    });
    provider = await startScriptedServer();
    traces = await OtlpReceiver.start();
    place = await Place.make({
      OTEL_EXPORTER_OTLP_ENDPOINT: traces.origin,
      OTEL_BSP_SCHEDULE_DELAY: "20",
      NEXUS_LOG_LEVEL: "trace",
      NEXUS_ENCRYPTION_KEY_FILE: join(keyFolder, "encryption.key"),
      NEXUS_TLS_CERT_FILE: join(keyFolder, "tls.crt"),
      NEXUS_TLS_KEY_FILE: join(keyFolder, "tls.key"),
      NEXUS_TLS_LISTENERS: "grpc",
    });
    await live();
  }, 120_000);
  afterAll(async () => {
    await Promise.all([provider.close(), traces.close()]);
  });

  /** From the first start to a crash and the start after it. */
  async function live(): Promise<void> {
    let daemon = new DaemonProcess(place.environment);
    await daemon.ready();
    plant("admin key", place.apiKey);
    try {
      await use();
      // The last call of all: what came before it is sent too.
      await traces.span(({ name }) => name.endsWith("/ListApiKeys"));
      look(daemon);
      outputs.push(daemon.output);
      await daemon.kill("SIGKILL");
      daemon = new DaemonProcess(place.environment);
      await daemon.ready();
      look(daemon);
    } finally {
      await daemon.kill("SIGTERM");
      outputs.push(daemon.output);
    }
  }

  function look({ pid }: DaemonProcess): void {
    for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
      const file = (what: string): string => readFileSync(`/proc/${name}/${what}`, "latin1");
      try {
        const isOurs = Number(name) === pid || file("stat").split(") ")[1]?.split(" ")[1] === String(pid);
        if (isOurs) processes.push(file("cmdline"), file("environ"), file("comm"));
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  async function use(): Promise<void> {
    const { clients, access } = callers();
    const fields = { user: plant("static user", mark("user")), pass: plant("static password", mark("pass")) };
    const created = await access.createApiKey({ name: "agent", role: Role.OPERATOR });
    plant("created API key", created.key);

    const providerId = await registered(clients, {
      name: "marked",
      clientId: "client",
      clientSecret: plant("client secret", mark("client-secret")),
      authUrl: `${provider.origin}/authorize`,
      tokenUrl: `${provider.origin}/token`,
      scopes: ["read"],
    });
    const consented = await consent(providerId, "tokens");
    const held = await consent(providerId, "tokens", true);
    await refused(
      clients.connections.confirmConnection({
        connectionId: held.connectionId,
        completionCode: mark("wrong").slice(0, 43),
      }),
    );
    await clients.connections.confirmConnection(held);
    await consent(providerId, "echo");
    await consent(providerId, "garbage");
    await clients.tokens.getToken({ connectionId: consented.connectionId });
    answer = "tokens";
    await clients.tokens.refreshToken({ connectionId: consented.connectionId });
    for (const kind of ["echo", "garbage", "invalid_grant"] as const) {
      answer = kind;
      await refused(clients.tokens.refreshToken({ connectionId: consented.connectionId }));
    }
    answer = "tokens";
    await importAndStatic(providerId, fields);
    await malformed(providerId);
    for await (const { part } of clients.backups.createBackup({})) {
      if (part.case === "chunk") backup = Buffer.concat([backup, part.value]);
    }
    await clients.connections.revokeConnection({ connectionId: held.connectionId });
    metrics = await (await fetch(`${place.opsUrl}/metrics`)).text();
    const text = (value: unknown): string =>
      JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? `${item}` : item));
    audit = text((await clients.audit.listAuditEvents({ pageSize: 500 })).events);
    listings = [
      await clients.connections.listConnections({}),
      await clients.providers.listProviders({}),
      await access.listApiKeys({ includeRevoked: true }),
    ]
      .map(text)
      .join("\n");
  }

  type Answer = "tokens" | "echo" | "garbage" | "invalid_grant";
  let answer: Answer = "tokens";

  /** A provider that hands out marked tokens, or tells all that it was told in its errors. */
  function script(): void {
    provider.script = (response, { form }) => {
      for (const name of ["code_verifier", "refresh_token", "code"]) {
        const value = form.get(name);
        if (value !== null) plant(`sent ${name}`, value);
      }
      const json = (status: number, body: unknown): void => {
        response.writeHead(status, {
          "content-type": "application/json",
          "x-echo": form.get("refresh_token") ?? "",
        });
        response.end(JSON.stringify(body));
      };
      const told = [...form.values()].join(" ");
      const tokens = {
        access_token: plant("access token", mark("access")),
        refresh_token: plant("refresh token", mark("refresh")),
        id_token: plant("id token", mark("id")),
      };
      if (answer === "tokens") json(200, { ...tokens, token_type: "Bearer", expires_in: 3600 });
      else if (answer === "echo")
        json(500, { error: told, error_description: told, error_uri: told, ...tokens });
      else if (answer === "garbage")
        response.writeHead(200, { "content-type": "text/html" }).end(`<html>${told} ${tokens.access_token}`);
      else json(400, { error: "invalid_grant", error_description: told, ...tokens });
    };
  }

  async function consent(providerId: string, outcome: Answer, requireConfirmation = false) {
    script();
    answer = outcome;
    const requested = await callers().clients.connections.requestConnection(
      requestOf(providerId, { returnUrl: "http://127.0.0.1:3999/back", requireConfirmation }),
    );
    plant("state", requested.state);
    const started = await fetch(requested.authUrl, { redirect: "manual" });
    const [pair = ""] = (started.headers.getSetCookie()[0] ?? "").split(";");
    plant("cookie", pair.slice(pair.indexOf("=") + 1));
    const there = new URL(started.headers.get("location") ?? "");
    const back = new URL(there.searchParams.get("redirect_uri") ?? "");
    back.search = new URLSearchParams({
      state: requested.state,
      code: plant("code", mark("code")),
    }).toString();
    const unauthenticated = await asked(
      `${back.origin}${back.pathname}?state=${mark("unknown")}&code=${plant("code", mark("code"))}`,
      {},
    );
    expect(unauthenticated.status).toBe(404);
    const ended = await fetch(back, { redirect: "manual", headers: { cookie: pair } });
    const location = new URL(ended.headers.get("location") ?? "");
    const completionCode = location.searchParams.get("completion_code") ?? "";
    if (completionCode !== "") plant("completion code", completionCode);
    return { connectionId: requested.connectionId, completionCode };
  }

  async function importAndStatic(
    providerId: string,
    { user, pass }: { user: string; pass: string },
  ): Promise<void> {
    const { clients } = callers();
    const refreshToken = plant("imported refresh token", mark("imported"));
    await clients.connections.importConnection({ userId: "bob", providerId, refreshToken });
    answer = "echo";
    await refused(
      clients.connections.importConnection({
        userId: "bob",
        providerId,
        refreshToken: plant("lost import", mark("lost")),
      }),
    );
    answer = "tokens";
    const profileId = await registered(clients, { name: "basic", authType: AuthType.BASIC_AUTH });
    const credentials = { username: user, password: pass };
    const { connection } = await clients.connections.importConnection({
      userId: "bob",
      providerId: profileId,
      credentials,
    });
    await clients.tokens.getToken({ connectionId: connection?.id ?? "" });
    const wrong = { nope: plant("value of a field", mark("value")) };
    await refused(
      clients.connections.importConnection({
        userId: "bob",
        providerId: profileId,
        credentials: wrong,
      }),
    );
  }

  /** Secrets where none belongs. */
  async function malformed(providerId: string): Promise<void> {
    const { clients } = callers();
    const jwt = plant(
      "JWT",
      `${Buffer.from('{"alg":"RS256"}').toString("base64url")}.${mark("claims")}.${mark("signature")}`,
    );
    const headers: Record<string, string>[] = [
      { authorization: `Bearer ${jwt}` },
      { "x-api-key": plant("wrong API key", mark("nxk")) },
      { authorization: `Basic ${Buffer.from(plant("basic password", mark("basic"))).toString("base64")}` },
      { cookie: `session=${plant("foreign cookie", mark("session"))}` },
    ];
    for (const header of headers)
      expect((await asked(`${place.httpUrl}/v1/providers`, { headers: header })).status).toBe(401);
    const key = { "x-api-key": place.apiKey, "content-type": "application/json" };
    const bodies = [
      JSON.stringify({
        profile: { name: "x", client_secret: plant("secret in a body", mark("body")), auth_url: 7 },
      }),
      `{"profile":{"client_secret":"${plant("secret in half a body", mark("half"))}`,
      JSON.stringify({ profile: { name: "X Y", client_secret: plant("secret of a bad name", mark("bad")) } }),
    ];
    for (const body of bodies) {
      expect(
        (await asked(`${place.httpUrl}/v1/providers`, { method: "POST", headers: key, body })).status,
      ).toBe(400);
    }
    const refreshToken = plant("refresh token of nobody", mark("nobody"));
    await refused(clients.connections.importConnection({ userId: "", providerId, refreshToken }));
    await refused(
      clients.connections.importConnection({ userId: "ada", providerId: "no-uuid", refreshToken }),
    );
    await refused(
      clients.connections.confirmConnection({
        connectionId: providerId,
        completionCode: plant("code of nobody", mark("code")),
      }),
    );
  }

  function callers() {
    const clients = place.clients();
    return { clients, access: clients.access };
  }

  it("the search finds a secret in every notation, and the life had secrets of every kind", () => {
    const kinds = new Set(canaries.map(({ kind }) => kind));
    for (const kind of [
      "client secret",
      "access token",
      "refresh token",
      "id token",
      "code",
      "state",
      "sent code_verifier",
      "completion code",
      "admin key",
      "created API key",
      "static password",
      "encryption key",
      "TLS key",
      "JWT",
      "cookie",
    ]) {
      expect(kinds).toContain(kind);
    }
    for (const { kind, value } of canaries) {
      expect([
        kind,
        formsOf(value).every(
          (form) => foundIn(Buffer.concat([Buffer.from("x"), form]), [{ kind, value }]).length === 1,
        ),
      ]).toEqual([kind, true]);
    }
    expect(errors.length).toBeGreaterThan(15);
    expect(outputs.join("").split("\n").length).toBeGreaterThan(20);
    expect(processes.join("")).toContain("dist/main.js");
    expect(metrics).toContain("nexus_");
    expect(audit.length).toBeGreaterThan(1_000);
    expect(backup.length).toBeGreaterThan(1_000);
  });

  it("logs hold none, at the level trace, through failures, SIGKILL and SIGTERM", () => {
    for (const output of outputs) expect(foundIn(output, canaries)).toEqual([]);
  });

  it("error bodies, headers and trailers hold none, though the provider and the caller put them in", () => {
    for (const error of errors) expect(foundIn(error, canaries)).toEqual([]);
  });

  it("metrics, audit events and listings hold none", () => {
    expect(foundIn(metrics, canaries)).toEqual([]);
    expect(foundIn(audit, canaries)).toEqual([]);
    expect(foundIn(listings, canaries)).toEqual([]);
  });

  it("traces hold none, of calls, refreshes and requests to a provider that failed and went well", () => {
    const names = new Set(traces.spans.map(({ name }) => name));
    for (const name of ["refresh", "POST", "nexus.v1.TokenService/RefreshToken"])
      expect(names).toContain(name);
    expect(traces.spans.some(({ name, status }) => name === "refresh" && status === 2)).toBe(true);
    expect(foundIn(Buffer.concat(traces.bodies), canaries)).toEqual([]);
  });

  it("arguments, environment and title of the process and its children hold none", () => {
    for (const text of processes) expect(foundIn(text, canaries)).toEqual([]);
  });

  it("the data folder holds none but the admin's key in its file, and a backup holds none", () => {
    const files = filesOf(place.config.dataDir);
    expect([...files.keys()]).toEqual(expect.arrayContaining(["nexus.mdb", "admin.key"]));
    for (const [name, bytes] of files) {
      expect([name, foundIn(bytes, canaries)]).toEqual([name, name === "admin.key" ? ["admin key"] : []]);
    }
    expect(foundIn(backup, canaries)).toEqual([]);
  });
});
