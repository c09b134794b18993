import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { get as getSecure } from "node:https";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { exitCodes } from "../../src/core/exit_codes.js";
import type { Daemon } from "../../src/daemon/daemon.js";
import { TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Place } from "../daemon/harness.js";
import { Authority, type Issued } from "../fakes/certificates.js";
import { JwtSigner } from "../fakes/jwt_issuer.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { freePort } from "../free_port.js";
import { perSuite } from "../lifetimes.js";
import { needs } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";

const unknownConnection = "00000000-0000-4000-8000-000000000000";
const spiffe = "spiffe://prod.example/ns/agents/sa/mailer";
const issuer = "https://kubernetes.default.svc";
const program = join(import.meta.dirname, "../../dist/main.js");

interface Presented {
  readonly identity?: Issued;
  readonly token?: string;
  readonly trusts?: string;
}

/** One daemon whose four listeners speak TLS, with everything that tells callers apart. */
class Guarded {
  readonly clock = new ManualClock(Date.now());
  readonly serverCa = new Authority("Server CA");
  readonly clientCa = new Authority("Client CA");
  readonly signer = new JwtSigner();
  readonly folder = temporaryFolder();
  place!: Place;
  daemon!: Daemon;
  readonly ports = { grpc: 0, http: 0, browser: 0, ops: 0 };

  static async open(): Promise<Guarded> {
    const world = new Guarded();
    world.writePair(world.serverCa.issueServer());
    world.write("client-ca.crt", world.clientCa.pem);
    world.write("jwks.json", JSON.stringify({ keys: [world.signer.jwk] }));
    for (const listener of ["grpc", "http", "browser", "ops"] as const)
      world.ports[listener] = await freePort();
    const { ports, folder } = world;
    world.place = await Place.make({
      NEXUS_DATA_DIR: join(folder, "data"),
      NEXUS_GRPC_LISTEN: `unix:${join(folder, "data", "nexus.sock")},0.0.0.0:${ports.grpc}`,
      NEXUS_HTTP_LISTEN: `0.0.0.0:${ports.http}`,
      NEXUS_BROWSER_LISTEN: `0.0.0.0:${ports.browser}`,
      NEXUS_OPS_LISTEN: `0.0.0.0:${ports.ops}`,
      NEXUS_PUBLIC_URL: `https://localhost:${ports.browser}`,
      NEXUS_TLS_CERT_FILE: join(folder, "tls.crt"),
      NEXUS_TLS_KEY_FILE: join(folder, "tls.key"),
      NEXUS_TLS_CLIENT_CA_FILE: join(folder, "client-ca.crt"),
      NEXUS_JWT_ISSUER: issuer,
      NEXUS_JWT_AUDIENCE: "nexusd",
      NEXUS_JWT_JWKS_FILE: join(folder, "jwks.json"),
    });
    world.daemon = await world.place.start(world.clock);
    return world;
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  writePair({ cert, key }: Issued): void {
    this.write("tls.crt", cert);
    this.write("tls.key", key);
  }

  tokens(listener: "grpc" | "http", { identity, token, trusts = this.serverCa.pem }: Presented = {}) {
    const baseUrl = `https://localhost:${this.ports[listener]}`;
    const nodeOptions = { ca: trusts, ...identity };
    const interceptors: Interceptor[] = [
      (next) => (request) => {
        if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ];
    const transport =
      listener === "grpc"
        ? createGrpcTransport({ baseUrl, nodeOptions, interceptors })
        : createConnectTransport({
            baseUrl,
            httpVersion: "1.1",
            nodeOptions: { ...nodeOptions, agent: false },
            interceptors,
          });
    return createClient(TokenService, transport);
  }

  /** What a caller gets who asks both listeners for a connection that does not exist. */
  async answers(shown: Presented = {}): Promise<Code[]> {
    const ask = (listener: "grpc" | "http") =>
      this.tokens(listener, shown)
        .getToken({ connectionId: unknownConnection }, { timeoutMs: 5_000 })
        .then(
          () => Code.Unknown,
          (error: unknown) => ConnectError.from(error).code,
        );
    return await Promise.all([ask("grpc"), ask("http")]);
  }

  /** The body that a listener answers over https. */
  async page(
    listener: "browser" | "ops",
    path: string,
  ): Promise<{ status: number; body: string; hsts: unknown }> {
    const request = getSecure({
      host: "localhost",
      port: this.ports[listener],
      path,
      ca: this.serverCa.pem,
      agent: false,
    });
    const [response] = await once(request, "response");
    let body = "";
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode, body, hsts: response.headers["strict-transport-security"] };
  }

  async fingerprint(listener: keyof Guarded["ports"]): Promise<string | undefined> {
    const socket = connectTls({
      port: this.ports[listener],
      host: "127.0.0.1",
      servername: "localhost",
      ca: this.serverCa.pem,
    });
    await once(socket, "secureConnect");
    const found = socket.getPeerX509Certificate()?.fingerprint256;
    socket.destroy();
    return found;
  }

  async close(): Promise<void> {
    await this.daemon.stop();
  }
}

/** They know who calls; what the caller may is for the policy to say. */
const known = [Code.NotFound, Code.PermissionDenied];
const nobody = [Code.Unauthenticated, Code.Unauthenticated];

describe("a daemon whose listeners speak TLS", () => {
  const world = perSuite(() => Guarded.open());
  const expectKnown = async (shown: Presented) => {
    for (const code of await world.answers(shown)) expect(known).toContain(code);
  };

  test("TLS at every TCP listener", async () => {
    expect(await world.answers({ token: world.place.apiKey })).toEqual([Code.NotFound, Code.NotFound]);
    expect(await world.page("ops", "/livez")).toEqual({ status: 200, body: "ok", hsts: undefined });
    expect(await world.page("browser", "/no-such-page")).toMatchObject({
      status: 404,
      hsts: "max-age=31536000",
    });
    for (const listener of ["grpc", "http", "browser", "ops"] as const) {
      await expect(fetch(`http://127.0.0.1:${world.ports[listener]}/`)).rejects.toThrow();
    }
  });

  test("a client that does not trust the certificate sends nothing", async () => {
    const trusts = new Authority("Another CA").pem;
    expect(await world.answers({ token: world.place.apiKey, trusts })).not.toContain(Code.NotFound);
  });

  test("a caller who shows nothing is nobody", async () => {
    expect(await world.answers()).toEqual(nobody);
  });

  test("a client certificate is a caller: SPIFFE ID or subject", async () => {
    await expectKnown({ identity: world.clientCa.issue({ uris: [spiffe] }) });
    await expectKnown({ identity: world.clientCa.issue({ subject: [["CN", "agent"]] }) });
  });

  test("a client certificate that expired, is of another CA or carries two identities is nobody", async () => {
    const identities = [
      world.clientCa.issue({ uris: [spiffe], untilMs: -1_000 }),
      new Authority("Client CA").issue({ uris: [spiffe] }),
      world.clientCa.issue({ uris: [spiffe, "spiffe://prod.example/admin"] }),
    ];
    for (const identity of identities) expect(await world.answers({ identity })).toEqual(nobody);
  });

  test("a JWT of the configured issuer and audience is a caller", async () => {
    const claims = {
      iss: issuer,
      aud: ["nexusd"],
      sub: "system:serviceaccount:agents:mailer",
      exp: world.clock.nowMs() / 1000 + 600,
    };
    await expectKnown({ token: world.signer.sign({ claims }) });
  });

  test("a JWT that is forged, of another issuer or audience, or over is nobody", async () => {
    const claims = { iss: issuer, aud: "nexusd", sub: "agent", exp: world.clock.nowMs() / 1000 + 600 };
    const tokens = [
      JwtSigner.unsigned(claims),
      world.signer.signWithPublicKey(claims),
      new JwtSigner().sign({ claims }),
      world.signer.sign({ claims: { ...claims, iss: "https://evil.example" } }),
      world.signer.sign({ claims: { ...claims, aud: "vault" } }),
      world.signer.sign({ claims: { ...claims, exp: world.clock.nowMs() / 1000 - 1 } }),
    ];
    for (const token of tokens) expect(await world.answers({ token })).toEqual(nobody);
    const identity = world.clientCa.issue({ uris: [spiffe] });
    expect(await world.answers({ identity, token: tokens[0] ?? "" })).toEqual(nobody);
  });

  test("no log line holds a token, and none holds a key", async () => {
    const claims = { iss: issuer, aud: "vault", sub: "agent", exp: world.clock.nowMs() / 1000 + 600 };
    const token = world.signer.sign({ claims });
    await world.answers({ token });
    const log = world.place.logLines.join("");
    expect(log).toContain("a JWT is not valid");
    for (const secret of [token, token.split(".")[1] ?? "", "PRIVATE KEY", world.place.apiKey])
      expect(log).not.toContain(secret);
  });

  test("rotated files count for new connections while a stream goes on", async () => {
    const leaving = new AbortController();
    const messages = world
      .tokens("grpc", { token: world.place.apiKey })
      .watchTokens({ bookmarkInterval: { seconds: 5n, nanos: 0 } }, { signal: leaving.signal })
      [Symbol.asyncIterator]();
    expect((await messages.next()).done).toBe(false);
    const next = world.serverCa.issueServer();
    world.writePair(next);
    world.clock.advance(1_000);
    const wanted = new X509Certificate(next.cert).fingerprint256;
    for (const listener of ["grpc", "http", "browser", "ops"] as const) {
      await expect.poll(() => world.fingerprint(listener)).toBe(wanted);
    }
    const bookmark = messages.next();
    world.clock.advance(5_000);
    expect((await bookmark).done).toBe(false);
    // Without it the stream stays open and unread, and with it a client that does not close when the daemon does.
    leaving.abort();
    await expect(messages.next()).rejects.toThrow();
  });

  test("a broken new pair is logged, and the listeners keep the old one", async () => {
    const before = await world.fingerprint("grpc");
    world.write("tls.key", world.serverCa.issueServer().key);
    const lines = () =>
      world.place.logLines.filter((line) => line.includes("the new TLS certificate is not used"));
    await expect
      .poll(() => {
        world.clock.advance(1_000);
        return lines().length;
      })
      .toBe(1);
    expect(await world.fingerprint("grpc")).toBe(before);
    expect(lines()[0]).toContain("the key is not that of the certificate");
  });

  test("the commands reach the daemon over https, by key and by certificate", async () => {
    const address = `https://localhost:${world.ports.grpc}`;
    const caFile = world.write("ca.crt", world.serverCa.pem);
    const { cert, key } = world.clientCa.issue({ uris: [spiffe] });
    const run = (more: Record<string, string>) => {
      const env = {
        PATH: process.env["PATH"],
        HOME: world.folder,
        NEXUS_ADDRESS: address,
        NEXUS_CA_FILE: caFile,
        ...more,
      };
      return runAside(["token", unknownConnection], env);
    };
    const byKey = await run({ NEXUS_API_KEY: world.place.apiKey });
    expect(byKey.errors).toContain("not found");
    const byCertificate = await run({
      NEXUS_CLIENT_CERT_FILE: world.write("client.crt", cert),
      NEXUS_CLIENT_KEY_FILE: world.write("client.key", key),
    });
    expect(byCertificate.errors).toMatch(/not found|permission|may not/i);
    const untrusting = await run({
      NEXUS_API_KEY: world.place.apiKey,
      NEXUS_CA_FILE: world.write("other.crt", world.clientCa.pem),
    });
    expect(untrusting.code).toBe(exitCodes.notReachable);
  });

  test("nexusd health asks an ops listener with TLS", async () => {
    const { PATH } = process.env;
    const settings = Object.fromEntries(
      ["NEXUS_OPS_LISTEN", "NEXUS_TLS_CERT_FILE", "NEXUS_TLS_KEY_FILE"].map((name) => [
        name,
        world.place.environment[name],
      ]),
    );
    expect(await runAside(["health"], { PATH, ...settings })).toMatchObject({ code: 0, output: "ready\n" });
  });
});

describe("a TCP listener beyond loopback", () => {
  test.each(["grpc", "http", "browser", "ops"])("%s refuses to start without TLS", async (listener) => {
    const setting = `NEXUS_${listener.toUpperCase()}_LISTEN`;
    const address = `0.0.0.0:${await freePort()}`;
    const place = await Place.make();
    const daemon = new DaemonProcess({ ...place.environment, [setting]: address });
    expect(await daemon.exited).toBe(exitCodes.usage);
    for (const part of [setting, address, `the ${listener} listener`, "NEXUS_TLS_CERT_FILE", "--insecure"]) {
      expect(daemon.output).toContain(part);
    }
  });

  test("starts with --insecure, by flag or variable", async () => {
    const place = await Place.make();
    const NEXUS_HTTP_LISTEN = `0.0.0.0:${await freePort()}`;
    const ways: [NodeJS.ProcessEnv, string[]][] = [
      [{}, ["serve", "--insecure"]],
      [{}, ["serve", "--insecure=http"]],
      [{ NEXUS_INSECURE: "true" }, ["serve"]],
    ];
    for (const [environment, args] of ways) {
      const daemon = new DaemonProcess({ ...place.environment, NEXUS_HTTP_LISTEN, ...environment }, args);
      await daemon.ready();
      await daemon.kill("SIGTERM");
      await daemon.exited;
    }
  });

  test("does not start on a pair that does not match", async () => {
    const place = await Place.make();
    const ca = new Authority();
    const folder = temporaryFolder();
    const file = (name: string, text: string): string => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    };
    const daemon = new DaemonProcess({
      ...place.environment,
      NEXUS_TLS_CERT_FILE: file("a.crt", ca.issueServer().cert),
      NEXUS_TLS_KEY_FILE: file("b.key", ca.issueServer().key),
    });
    expect(await daemon.exited).toBe(exitCodes.listenerNotOpened);
    expect(daemon.output).toContain("the key is not that of the certificate");
  });
});

describe("a Unix socket", () => {
  test("a key that proves nobody does not make an owner of its caller", async () => {
    const place = await Place.make();
    const daemon = await place.start(new ManualClock(Date.now()));
    const ask = (headers: Record<string, string>) =>
      place
        .clients()
        .tokens.getToken({ connectionId: unknownConnection }, { headers })
        .catch((error: unknown) => ConnectError.from(error).code);
    expect(await ask({})).toBe(Code.NotFound);
    expect(await ask({ "x-api-key": place.apiKey })).toBe(Code.NotFound);
    expect(await ask({ "x-api-key": "wrong" })).toBe(Code.Unauthenticated);
    expect(await ask({ authorization: "Bearer eyJhbGciOiJub25lIn0.e30." })).toBe(Code.Unauthenticated);
    for (const authorization of ["Bearer", "Bearer wrong key", "Basic b3duZXI6", place.apiKey, "Bearer,"])
      expect(await ask({ authorization })).toBe(Code.Unauthenticated);
    await daemon.stop();
  });

  test("that is wider than 0600 tells the users of the machine apart", async (context) => {
    needs(context, "root");
    const folder = temporaryFolder();
    const socket = join(folder, "nexus.sock");
    chmodSync(folder, 0o755);
    const asAnother = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
      const options = { socketPath: socket, path, method: path.startsWith("/v1/") ? "GET" : "POST", headers };
      const script = `const request = require("node:http").request(${JSON.stringify(options)}, async (response) => {
          let body = "";
          for await (const chunk of response) body += chunk;
          process.stdout.write(response.statusCode + " " + body);
        }).on("error", (error) => process.stdout.write(error.code));
        request.end("{}");`;
      const user = { uid: 12_345, gid: 12_345, cwd: "/" };
      return (await spawnAside(process.execPath, ["-e", script], user)).stdout;
    };
    const whoAmI = "/nexus.v1.AccessService/WhoAmI";
    const json = { "content-type": "application/json" };
    const place = await Place.make({ NEXUS_HTTP_LISTEN: `unix:${socket}`, NEXUS_SOCKET_MODE: "0666" });
    const daemon = await place.start(new ManualClock(Date.now()));
    expect(await asAnother(`/v1/check-connection/${unknownConnection}`)).toMatch(/^40[34] /);
    expect(await asAnother(whoAmI, json)).toMatch(/^200 .*"uid:12345"/);
    expect(await asAnother(whoAmI, { ...json, "x-api-key": place.apiKey })).toMatch(/^200 .*"admin"/);
    chmodSync(socket, 0o600);
    expect(await asAnother(whoAmI, json)).toBe("EACCES");
    await daemon.stop();
  });
});

/** Runs `nexusd` in a process of its own while this one, with the daemon in it, goes on. */
async function runAside(args: readonly string[], env: NodeJS.ProcessEnv) {
  const { code, stdout, stderr } = await spawnAside(process.execPath, [program, ...args], { env });
  return { code, output: stdout, errors: stderr };
}

async function spawnAside(command: string, args: readonly string[], options: object) {
  const { spawn } = await import("node:child_process");
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (text) => {
    stdout += String(text);
  });
  child.stderr?.on("data", (text) => {
    stderr += String(text);
  });
  const [code] = (await once(child, "close")) as [number];
  return { code, stdout, stderr };
}
