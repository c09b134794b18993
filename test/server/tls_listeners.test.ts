import { once } from "node:events";
import { connect as connectPlain } from "node:net";
import { Code } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { Authority } from "../fakes/certificates.js";
import { apiKey } from "./fake_services.js";
import { failure } from "./http_listener_fixture.js";
import { TlsWorld } from "./tls_fixture.js";

const spiffe = "spiffe://prod.example/ns/agents/sa/mailer";

describe("a listener with TLS", () => {
  test.each(["1.1", "2", "grpc"] as const)("serves %s at the http listener", async (protocol) => {
    const world = await TlsWorld.open("none");
    expect(await world.overHttp(protocol, { token: apiKey })).toBe("admin");
    expect((await failure(world.overHttp(protocol))).code).toBe(Code.Unauthenticated);
  });

  test("serves gRPC at the grpc listener", async () => {
    const world = await TlsWorld.open("none");
    expect(await world.overGrpc({ token: apiKey })).toBe("admin");
    await expect(world.overGrpc()).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  });

  test("chooses the protocol by ALPN, and refuses those it does not speak", async () => {
    const world = await TlsWorld.open();
    const chosen = async (offered: string[], port: number) =>
      (await world.handshake({ ALPNProtocols: offered }, port)).alpnProtocol;
    expect(await chosen(["http/1.1", "h2"], world.httpPort)).toBe("h2");
    for (const port of [world.httpPort, world.grpcPort]) {
      expect(await chosen(["http/1.1"], port)).toBe("http/1.1");
      await expect(chosen(["spdy/3"], port)).rejects.toThrow(/no application protocol|ALPN|alert/i);
    }
  });

  test("speaks TLS 1.2 and 1.3, forward secret and authenticated, and nothing older", async () => {
    const world = await TlsWorld.open();
    const at = (minVersion: "TLSv1.1" | "TLSv1.2" | "TLSv1.3", ciphers = "DEFAULT@SECLEVEL=0") =>
      world.handshake({ minVersion, maxVersion: minVersion, ciphers });
    expect((await at("TLSv1.3", "TLS_AES_128_GCM_SHA256")).getProtocol()).toBe("TLSv1.3");
    expect((await at("TLSv1.2")).getCipher().name).toMatch(/^ECDHE-.*(GCM|POLY1305)/);
    await expect(at("TLSv1.1")).rejects.toThrow();
    await expect(at("TLSv1.2", "ECDHE-ECDSA-AES128-SHA256")).rejects.toThrow();
    await expect(at("TLSv1.2", "AES128-GCM-SHA256")).rejects.toThrow();
  });

  test("drops a client that speaks plain text", async () => {
    const world = await TlsWorld.open();
    const socket = connectPlain({ host: "127.0.0.1", port: world.httpPort });
    onTestFinished(() => void socket.destroy());
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.write("GET /v1/providers HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await once(socket, "close");
    expect(answer).not.toContain("HTTP/1.1");
    await expect.poll(() => world.log.with("handshake failed")).toHaveLength(1);
  });

  test("resumes no session, so that a certificate is verified for every connection", async () => {
    const world = await TlsWorld.open();
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const first = await world.handshake({ maxVersion });
      // A ticket of TLS 1.3 comes with the first bytes of the server, which an HTTP/2 server sends by itself.
      const sessions: Buffer[] = [];
      first.on("session", (session) => void sessions.push(session));
      await once(first, "data");
      const session = sessions[0] ?? first.getSession();
      const second = await world.handshake({ maxVersion, ...(session && { session }) });
      expect(second.isSessionReused()).toBe(false);
    }
  });
});

describe("a client certificate", () => {
  test("names the caller by its SPIFFE ID, at both listeners and in every protocol", async () => {
    const world = await TlsWorld.open();
    const identity = world.clientCa.issue({ uris: [spiffe] });
    expect(await world.overGrpc({ identity })).toBe(`cert:${spiffe}`);
    for (const protocol of ["1.1", "2", "grpc"] as const) {
      expect(await world.overHttp(protocol, { identity })).toBe(`cert:${spiffe}`);
    }
  });

  test("names it by its subject otherwise", async () => {
    const world = await TlsWorld.open();
    const subject = [
      ["O", "Acme"],
      ["CN", "agent, one"],
    ] as const;
    expect(await world.overGrpc({ identity: world.clientCa.issue({ subject }) })).toBe(
      "cert:CN=agent\\, one,O=Acme",
    );
  });

  test("of one caller is not that of another on the same listener", async () => {
    const world = await TlsWorld.open();
    const names = ["a", "b", "c"].map((name) => `spiffe://x/${name}`);
    const identities = names.map((uri) => world.clientCa.issue({ uris: [uri] }));
    const told = await Promise.all(identities.map((identity) => world.overGrpc({ identity })));
    expect(told).toEqual(names.map((name) => `cert:${name}`));
    await expect(world.overGrpc()).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  });

  const untrusted = {
    "that has expired": (world: TlsWorld) => world.clientCa.issue({ uris: [spiffe], untilMs: -1_000 }),
    "that is not valid yet": (world: TlsWorld) => world.clientCa.issue({ uris: [spiffe], fromMs: 3_600_000 }),
    "of another CA": () => new Authority("Client CA").issue({ uris: [spiffe] }),
    "of the CA of the listeners": (world: TlsWorld) => world.serverCa.issue({ uris: [spiffe] }),
  };

  test.each(Object.entries(untrusted))("%s proves nobody where it is optional", async (_what, issue) => {
    const world = await TlsWorld.open("optional");
    const identity = issue(world);
    await expect(world.overGrpc({ identity })).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    expect((await failure(world.overHttp("1.1", { identity }))).code).toBe(Code.Unauthenticated);
    expect(await world.overGrpc({ identity, token: apiKey })).toBe("admin");
    expect(world.log.with("proves nobody").length).toBeGreaterThan(0);
  });

  test.each(Object.entries(untrusted))("%s gets no connection where it is required", async (_what, issue) => {
    const world = await TlsWorld.open("require");
    const shown = { identity: issue(world), token: apiKey };
    await expect(world.overGrpc(shown)).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await expect(world.overHttp("1.1", shown)).rejects.toThrow();
    await expect(world.overHttp("2", shown)).rejects.toThrow();
  });

  test("is a must where it is required, and lets its holder in", async () => {
    const world = await TlsWorld.open("require");
    await expect(world.overGrpc({ token: apiKey })).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await expect(world.overHttp("1.1", { token: apiKey })).rejects.toThrow();
    const identity = world.clientCa.issue({ uris: [spiffe] });
    expect(await world.overGrpc({ identity })).toBe(`cert:${spiffe}`);
    expect(await world.overHttp("2", { identity })).toBe(`cert:${spiffe}`);
  });

  test("gives way to a key that is shown beside it, and does not stand in for a wrong one", async () => {
    const world = await TlsWorld.open();
    const identity = world.clientCa.issue({ uris: [spiffe] });
    expect(await world.overGrpc({ identity, token: apiKey })).toBe("admin");
    await expect(world.overGrpc({ identity, token: "wrong" })).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    expect((await failure(world.overHttp("2", { identity, token: "wrong" }))).code).toBe(
      Code.Unauthenticated,
    );
  });

  test("ends on an open connection when its validity does", async () => {
    const world = await TlsWorld.open();
    const client = world.grpcClient({ identity: world.clientCa.issue({ uris: [spiffe], untilMs: 60_000 }) });
    onTestFinished(() => client.close());
    const { TokenService } = await import("../../src/gen/nexus/v1/token_pb.js");
    const ask = () => client.call(TokenService.method.getToken, { connectionId: "x" });
    expect((await ask()).token?.grantedScopes[1]).toBe(`cert:${spiffe}`);
    world.clock.advance(61_000);
    await expect(ask()).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  });

  test("is not asked for where the listener wants none", async () => {
    const world = await TlsWorld.open("none");
    const identity = world.clientCa.issue({ uris: [spiffe] });
    await expect(world.overGrpc({ identity })).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  });
});
