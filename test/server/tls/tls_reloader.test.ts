import { X509Certificate } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { TlsError } from "../../../src/server/tls/tls_pair.js";
import { lookEveryMs, TlsReloader } from "../../../src/server/tls/tls_reloader.js";
import { Authority, type Issued } from "../../fakes/certificates.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { apiKey } from "../fake_services.js";
import { LogLines, TlsWorld, writePair } from "../tls_fixture.js";

const authority = new Authority();

/** A keeper over files in a folder of its own. */
async function load(issued: Issued = authority.issueServer()) {
  const folder = temporaryFolder();
  const clock = new ManualClock(Date.now());
  const log = new LogLines();
  const files = writePair(folder, issued);
  const keeper = await TlsReloader.load({ ...files, clientCaFile: undefined, clock, log });
  onTestFinished(() => keeper.stop());
  return { folder, clock, log, keeper, ...files };
}

type Loaded = Awaited<ReturnType<typeof load>>;

const fingerprintOf = ({ cert }: Issued): string => new X509Certificate(cert).fingerprint256;

/** Moves time until the files were looked at `times` more, each time to the end. */
async function looks({ clock }: Loaded, times = 1): Promise<void> {
  for (let count = 0; count < times; count++) {
    clock.advance(lookEveryMs);
    await expect.poll(() => clock.pending).toBe(1);
  }
}

describe("a new pair counts", () => {
  test("when both files are renamed over", async () => {
    const loaded = await load();
    const next = authority.issueServer();
    const fresh = temporaryFolder();
    const { certFile, keyFile } = writePair(fresh, next);
    renameSync(certFile, loaded.certFile);
    renameSync(keyFile, loaded.keyFile);
    await looks(loaded);
    expect(loaded.keeper.pair.fingerprint256).toBe(fingerprintOf(next));
    expect(loaded.log.with("new connections get a new TLS certificate")).toHaveLength(1);
  });

  test("when they are written in place", async () => {
    const loaded = await load();
    const next = authority.issueServer();
    writePair(loaded.folder, next);
    await looks(loaded);
    expect(loaded.keeper.pair.fingerprint256).toBe(fingerprintOf(next));
  });

  test("when the link of a Secret is turned, as Kubernetes does it", async () => {
    const folder = temporaryFolder();
    const [first, next] = [authority.issueServer(), authority.issueServer()];
    for (const [name, issued] of [
      ["..1", first],
      ["..2", next],
    ] as const) {
      mkdirSync(join(folder, name));
      writePair(join(folder, name), issued);
    }
    symlinkSync("..1", join(folder, "..data"));
    for (const name of ["tls.crt", "tls.key"]) symlinkSync(join("..data", name), join(folder, name));
    const clock = new ManualClock(Date.now());
    const log = new LogLines();
    const paths = {
      certFile: join(folder, "tls.crt"),
      keyFile: join(folder, "tls.key"),
      clientCaFile: undefined,
    };
    const keeper = await TlsReloader.load({ ...paths, clock, log });
    onTestFinished(() => keeper.stop());
    expect(keeper.pair.fingerprint256).toBe(fingerprintOf(first));
    symlinkSync("..2", join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    rmSync(join(folder, "..1"), { recursive: true });
    clock.advance(lookEveryMs);
    await expect.poll(() => keeper.pair.fingerprint256).toBe(fingerprintOf(next));
  });

  test("although its files come one after the other, without a line about the time between", async () => {
    const loaded = await load();
    const first = loaded.keeper.pair.fingerprint256;
    const next = authority.issueServer();
    writeFileSync(loaded.certFile, next.cert);
    await looks(loaded);
    expect(loaded.keeper.pair.fingerprint256).toBe(first);
    writeFileSync(loaded.keyFile, next.key);
    await looks(loaded);
    expect(loaded.keeper.pair.fingerprint256).toBe(fingerprintOf(next));
    expect(loaded.log.with("old one stays")).toEqual([]);
  });
});

describe("the old pair stays, and a line says why,", () => {
  const broken: Record<string, [(loaded: Loaded) => void, string]> = {
    "when the key is of another certificate": [
      ({ folder }) => writePair(folder, { ...authority.issueServer(), key: authority.issueServer().key }),
      "the key is not that of the certificate",
    ],
    "when the certificate is none": [
      ({ certFile }) => writeFileSync(certFile, "-----BEGIN"),
      "no certificate in PEM",
    ],
    "when the key is none": [({ keyFile }) => writeFileSync(keyFile, ""), "no private key in PEM"],
    "when the key has a passphrase": [
      ({ keyFile }) =>
        writeFileSync(
          keyFile,
          "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
      "has a passphrase",
    ],
    "when a file is gone": [({ keyFile }) => unlinkSync(keyFile), "cannot be read (ENOENT)"],
    "when a file is huge": [
      ({ certFile }) => writeFileSync(certFile, Buffer.alloc(1_100_000, 0x41)),
      "are read at most",
    ],
    "when it has expired": [
      ({ folder }) => writePair(folder, authority.issueServer({ untilMs: -1_000 })),
      "the new certificate has expired",
    ],
  };

  test.each(Object.entries(broken))("%s", async (_when, [breakIt, reason]) => {
    const loaded = await load();
    const first = loaded.keeper.pair.fingerprint256;
    breakIt(loaded);
    await looks(loaded, 4);
    expect(loaded.keeper.pair.fingerprint256).toBe(first);
    const lines = loaded.log.with("the new TLS certificate is not used");
    expect(lines).toHaveLength(1);
    expect(String(lines[0]?.["reason"])).toContain(reason);
    const next = authority.issueServer();
    writePair(loaded.folder, next);
    await looks(loaded, 2);
    expect(loaded.keeper.pair.fingerprint256).toBe(fingerprintOf(next));
  });
});

describe("at the start", () => {
  test.each([
    [
      "a mismatch",
      { cert: authority.issueServer().cert, key: authority.issueServer().key },
      "not that of the certificate",
    ],
    [
      "a swap",
      { cert: authority.issueServer().key, key: authority.issueServer().cert },
      "no certificate in PEM",
    ],
  ])("%s is refused", async (_what, issued, reason) => {
    const violation = await load(issued).catch((error: unknown) => error);
    expect(violation).toBeInstanceOf(TlsError);
    expect(String(violation)).toContain(reason);
    expect(String(violation)).not.toContain(issued.key.slice(40, 80));
  });

  test("a certificate that has expired is used, and a line says so", async () => {
    const { log } = await load(authority.issueServer({ untilMs: -1_000 }));
    expect(log.with("has expired")).toHaveLength(1);
  });

  test("a client CA that is none is refused", async () => {
    const folder = temporaryFolder();
    const clientCaFile = join(folder, "ca.crt");
    writeFileSync(clientCaFile, "nothing");
    const paths = { ...writePair(folder, authority.issueServer()), clientCaFile };
    const loading = TlsReloader.load({ ...paths, clock: new ManualClock(0), log: new LogLines() });
    await expect(loading).rejects.toThrow("the client CA file holds no certificate");
  });
});

describe("an open listener", () => {
  test("shows new connections the new certificate, and lets the old ones go on", async () => {
    const world = await TlsWorld.open();
    const client = world.grpcClient({ token: apiKey });
    onTestFinished(() => client.close());
    const stream = client.watch("hang");
    onTestFinished(() => stream.cancel());
    stream.on("error", () => undefined);
    await new Promise((resolve) => stream.once("data", resolve));
    const seen = async () => (await world.handshake()).getPeerX509Certificate()?.fingerprint256;
    const first = await seen();
    const next = world.serverCa.issueServer();
    writePair(world.folder, next);
    world.clock.advance(lookEveryMs);
    await expect.poll(seen).toBe(fingerprintOf(next));
    expect(first).not.toBe(fingerprintOf(next));
    const { TokenService } = await import("../../../src/gen/nexus/v1/token_pb.js");
    const answer = await client.call(TokenService.method.getToken, { connectionId: "still here" });
    expect(answer.token?.grantedScopes).toEqual(["still here", "admin"]);
    expect(stream.destroyed).toBe(false);
  });

  test("trusts a new client CA, and the old one no longer", async () => {
    const world = await TlsWorld.open();
    const next = new Authority("Next CA");
    const [before, after] = [
      world.clientCa.issue({ uris: ["spiffe://x/a"] }),
      next.issue({ uris: ["spiffe://x/b"] }),
    ];
    expect(await world.overGrpc({ identity: before })).toBe("cert:spiffe://x/a");
    await expect(world.overGrpc({ identity: after })).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    writeFileSync(join(world.folder, "client-ca.crt"), next.pem);
    world.clock.advance(lookEveryMs);
    await expect.poll(() => world.log.with("new TLS certificate")).toHaveLength(1);
    expect(await world.overGrpc({ identity: after })).toBe("cert:spiffe://x/b");
    await expect(world.overGrpc({ identity: before })).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
    });
  });
});
