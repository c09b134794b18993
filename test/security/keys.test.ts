import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Keyring } from "../../src/gen/nexus/v1/keyring_pb.js";
import { DaemonProcess, DaemonProcesses } from "../daemon/daemon_process.js";
import { failureOf } from "../daemon/errors.js";
import { Place, Watcher } from "../daemon/harness.js";
import { consented, registeredAt, requestOf } from "../daemon/requests.js";
import { Browser } from "../fakes/browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "../fakes/openid_provider.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { keyIdsOf, multiply } from "./sealed_store.js";

/** `nexusd` as an operator runs it, on one data folder. */
describe("keys", { timeout: 180_000 }, () => {
  const place = perTest(() => Place.make());
  const daemons = perTest(() => new DaemonProcesses(place.environment));

  const file = (name: string): string => join(place.config.dataDir, name);
  const command = async (...args: string[]): Promise<{ code: number | string; output: string }> => {
    const child = new DaemonProcess(place.environment, args);
    return { code: await child.exited, output: child.output };
  };
  const keyring = async (): Promise<Keyring> => {
    const answer = await place.clients().keyring.getKeyring({});
    if (!answer.keyring) throw new Error("no ring");
    return answer.keyring;
  };
  const primary = async (): Promise<string> => (await keyring()).keys.find((key) => key.primary)?.keyId ?? "";
  const rotated = async (): Promise<Keyring> => {
    for (;;) {
      const state = await keyring();
      if (!state.rotating && state.remaining === 0n) return state;
    }
  };
  const apiKeyOf = async (connectionId: string): Promise<string | undefined> =>
    (await place.clients().tokens.getToken({ connectionId })).token?.credentials["api_key"];
  const makeStatic = async (apiKey: string): Promise<string> => {
    const clients = place.clients();
    const { providers } = await clients.providers.listProviders({ namePrefix: "keys" });
    if (providers.length === 0) {
      const strategy = {
        kind: { case: "header" as const, value: { headerName: "X-Key", credentialField: "api_key" } },
      };
      await clients.providers.createProvider({ provider: { name: "keys", authType: 2, strategy } });
    }
    const { provider } = await clients.providers.getProvider({ key: { case: "name", value: "keys" } });
    const { connection } = await clients.connections.importConnection({
      userId: "ada",
      providerId: provider?.id ?? "",
      credentials: { api_key: apiKey },
    });
    return connection?.id ?? "";
  };

  it("a rotation runs while tokens are read and refreshed, goes on after SIGKILL, and the old key can be retired only then", async () => {
    let daemon = await daemons.started();
    const provider = await startOpenIdProvider({ redirectUris: [`${place.config.redirectUri}/op`] });
    const oauthId = await connectTo(place, provider);
    const staticId = await makeStatic("the first");
    const old = await primary();
    await daemon.kill("SIGTERM");
    const secrets = await multiply(place.config.dataDir, staticId, 12_000);
    const [sampleId = ""] = secrets.keys();

    daemon = await daemons.started();
    const { keyId: fresh } = await place.clients().keyring.addKey({});
    expect(await primary()).toBe(old);
    expect(statSync(file("encryption.key")).mode & 0o777).toBe(0o600);
    const clients = place.clients();
    const begun = await clients.keyring.rotateKeyring({});
    expect(begun.keyring).toMatchObject({ rotating: true });
    const refused = await failureOf(clients.keyring.retireKey({ keyId: old }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "KEY_IN_USE" });
    const reads = [
      clients.tokens.refreshToken({ connectionId: oauthId }),
      clients.tokens.getToken({ connectionId: sampleId }),
    ];
    const [refreshed, read] = await Promise.all(reads);
    expect(refreshed?.token?.revision).toBe(2n);
    expect(read?.token?.credentials["api_key"]).toBe(secrets.get(sampleId));
    await daemon.kill("SIGKILL");

    const halfway = await keyIdsOf(place.config.dataDir);
    expect(halfway.get(old)).toBeGreaterThan(0);
    expect(halfway.get(fresh)).toBeGreaterThan(0);
    daemon = await daemons.started();
    expect(await primary()).toBe(fresh);
    await rotated();
    expect((await keyring()).keys.find((key) => key.keyId === old)?.records).toBe(0n);
    expect((await failureOf(place.clients().keyring.retireKey({ keyId: fresh }))).reason).toBe("KEY_IN_USE");
    expect((await place.clients().keyring.retireKey({ keyId: old })).removedFromSource).toBe(true);
    expect((await keyring()).keys.map(({ keyId }) => keyId)).toEqual([fresh]);
    expect(readFileSync(file("encryption.key"), "utf8").trim().split("\n")).toHaveLength(1);

    expect((await place.clients().tokens.refreshToken({ connectionId: oauthId })).token?.revision).toBe(3n);
    await daemon.kill("SIGTERM");
    expect([...(await keyIdsOf(place.config.dataDir)).keys()]).toEqual([fresh]);
    daemon = await daemons.started();
    for (const id of [...secrets.keys()].slice(0, 50)) expect(await apiKeyOf(id)).toBe(secrets.get(id));
    await provider.stop();
  });

  it("a command supplies the ring, without a shell, and what it prints on standard error is logged nowhere", async () => {
    const keys = join(temporaryFolder(), "ring");
    const script = join(temporaryFolder(), "kms.mjs");
    const line = (byte: number): string => `${Buffer.alloc(32, byte).toString("base64")}\n`;
    writeFileSync(keys, line(1));
    writeFileSync(
      script,
      `import { readFileSync } from "node:fs";
       console.error("leaked " + readFileSync(process.argv[2], "utf8"), process.argv[3]);
       process.stdout.write(readFileSync(process.argv[2], "utf8"));
       if (process.argv[3] !== "$(touch pwned) two words") process.exit(9);`,
    );
    const setting = `exec:${process.execPath} ${script} ${keys} '$(touch pwned) two words'`;
    const environment = { NEXUS_ENCRYPTION_KEY: setting };
    let daemon = await daemons.started(environment);
    const id = await makeStatic("from a manager");
    const old = await primary();
    expect(existsSync(file("encryption.key"))).toBe(false);
    expect(await failureOf(place.clients().keyring.addKey({}))).toMatchObject({ reason: "KEY_SOURCE" });

    writeFileSync(keys, line(1) + line(2));
    await place.clients().keyring.rotateKeyring({});
    const state = await rotated();
    const fresh = state.keys.find((key) => key.primary)?.keyId ?? "";
    expect(fresh).not.toBe(old);
    writeFileSync(keys, line(2));
    // The old key is gone from the command, and may be: nothing needs it. The primary may not.
    await place.clients().keyring.getKeyring({ reload: true });
    writeFileSync(keys, line(1));
    const lacking = await failureOf(place.clients().keyring.getKeyring({ reload: true }));
    expect(lacking).toMatchObject({ code: "FailedPrecondition", reason: "KEY_SOURCE" });
    expect(await apiKeyOf(id)).toBe("from a manager");
    writeFileSync(keys, line(1) + line(2));
    await place.clients().keyring.getKeyring({ reload: true });
    expect((await place.clients().keyring.retireKey({ keyId: old })).removedFromSource).toBe(false);
    writeFileSync(keys, line(2));
    await daemon.kill("SIGTERM");
    expect(daemon.output).not.toContain("leaked");
    expect(daemon.output).not.toContain(line(1).trim());

    daemon = await daemons.started({
      NEXUS_ENCRYPTION_KEY_COMMAND: `${process.execPath} ${script} ${keys} '$(touch pwned) two words'`,
    });
    expect(await apiKeyOf(id)).toBe("from a manager");
    await daemon.kill("SIGTERM");
    const failing = daemons.start({
      NEXUS_ENCRYPTION_KEY_COMMAND: `${process.execPath} ${script} ${keys} other`,
    });
    expect(await failing.exited).toBe(11);
    expect(failing.output).toMatch(/command .* ended with 9/);
    expect(failing.output).not.toContain("leaked");
  });

  it("a ring that lacks a key which records need is refused at the start, with code 11, and harms nothing", async () => {
    let daemon = await daemons.started();
    const id = await makeStatic("kept");
    const old = await primary();
    await daemon.kill("SIGTERM");
    const key = readFileSync(file("encryption.key"), "utf8").trim();
    const other = Buffer.alloc(32, 9).toString("base64");
    const wrong = daemons.start({ NEXUS_ENCRYPTION_KEY: other });
    expect(await wrong.exited).toBe(11);
    expect(wrong.output).toContain(old);
    expect(wrong.output).not.toContain(other);
    daemon = await daemons.started({ NEXUS_ENCRYPTION_KEY: `${key},${other}` });
    expect(await primary()).toBe(old);
    expect(await apiKeyOf(id)).toBe("kept");
  });

  it("the commands add, rotate, show and retire keys", async () => {
    await daemons.started();
    const id = await makeStatic("by hand");
    const old = await primary();
    const nothing = await command("keyring", "rotate");
    expect(nothing).toMatchObject({ code: 1 });
    expect(nothing.output).toContain("keyring add");
    const added = await command("keyring", "add", "--json");
    const { key_id: fresh } = JSON.parse(added.output) as { key_id: string };
    expect((await command("keyring", "retire", old, "--yes")).output).toContain("is the primary");
    const turned = await command("keyring", "rotate");
    expect(turned).toMatchObject({ code: 0 });
    expect(turned.output).toMatch(new RegExp(`${fresh} +primary +1\n`));
    expect(await command("keyring", "retire", old, "--yes")).toMatchObject({ code: 0 });
    const shown = await command("keyring", "status");
    expect(shown.output).toContain(fresh);
    expect(shown.output).not.toContain(old);
    expect(await apiKeyOf(id)).toBe("by hand");
  });

  it("a backup is made while the daemon serves, every record opened, and a restore brings it back with a new epoch and its refresh tokens marked", async () => {
    let daemon = await daemons.started();
    const provider = await startOpenIdProvider({ redirectUris: [`${place.config.redirectUri}/op`] });
    const spent = await connectTo(place, provider);
    const unspent = await connectTo(place, provider);
    const fixed = await makeStatic("in the backup");
    const watcher = new Watcher(place.clients().tokens, {});
    const bookmark = await watcher.until((event) => event.case === "bookmark");
    watcher.cancel();
    const before = await place.clients().tokens.getToken({ connectionId: spent });
    const pending = await place.clients().connections.requestConnection(requestOf("op", { userId: "bob" }));

    const target = join(temporaryFolder(), "nexus.backup");
    const made = await command("backup", target);
    expect(made).toMatchObject({ code: 0 });
    // Two credentials, one static one, a client secret, a pending authorization.
    expect(made.output).toContain("5 sealed records were opened");
    expect(statSync(target).mode & 0o777).toBe(0o600);
    expect(readdirSync(place.config.dataDir).filter((name) => name.startsWith("backup-"))).toEqual([]);
    expect(await command("backup", target)).toMatchObject({ code: 2 });
    const bytes = readFileSync(target);
    for (const secret of [
      readFileSync(file("encryption.key"), "utf8").trim(),
      "in the backup",
      before.token?.credentials["access_token"] ?? "?",
    ]) {
      expect(bytes.includes(secret)).toBe(false);
    }
    await place.clients().tokens.refreshToken({ connectionId: spent });
    const busy = await command("restore", target, "--force");
    expect(busy.code).toBe(10);
    await daemon.kill("SIGTERM");

    const elsewhere = temporaryFolder();
    expect((await command("restore", target, "--data-dir", elsewhere)).code).toBe(11);
    expect((await command("restore", target)).code).toBe(1);
    const altered = join(temporaryFolder(), "altered");
    for (const at of [60, 300, 4096 + 9000, bytes.length - 1]) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 1;
      writeFileSync(altered, copy);
      expect([11, 12]).toContain((await command("restore", altered, "--force")).code);
      expect(existsSync(file("nexus.mdb"))).toBe(true);
    }
    writeFileSync(altered, bytes.subarray(0, bytes.length - 4096));
    expect((await command("restore", altered, "--force")).code).toBe(12);

    const restored = await command("restore", target, "--force", "--json");
    expect(restored).toMatchObject({ code: 0 });
    expect(JSON.parse(restored.output)).toMatchObject({
      marked_connections: 2,
      ended_requests: 1,
      kept_store: expect.stringContaining("before-restore"),
    });
    expect(statSync(file("nexus.mdb")).mode & 0o777).toBe(0o600);

    // An empty folder takes it too, once the keys are there.
    copyFileSync(file("encryption.key"), join(elsewhere, "encryption.key"));
    expect((await command("restore", target, "--data-dir", elsewhere)).code).toBe(0);
    expect(readdirSync(elsewhere).sort()).toEqual(["encryption.key", "nexus.mdb", "nexusd.lock"]);

    daemon = await daemons.started();
    const clients = place.clients();
    const position = bookmark.case === "bookmark" ? bookmark.value.position : undefined;
    const resumed = new Watcher(clients.tokens, position ? { position } : {});
    expect(await resumed.next()).toMatchObject({ case: "reset", value: { reason: "epoch_changed" } });
    resumed.cancel();
    expect(await apiKeyOf(fixed)).toBe("in the backup");
    const page = await new Browser().get(pending.authUrl);
    expect(page.status).toBe(404);
    for (const connectionId of [spent, unspent]) {
      const { connection } = await clients.connections.getConnection({ connectionId });
      expect(connection?.problem?.reason).toBe("restored");
    }
    expect((await clients.tokens.getToken({ connectionId: spent })).token?.revision).toBe(1n);

    expect((await clients.tokens.refreshToken({ connectionId: unspent })).token?.revision).toBe(2n);
    const well = await clients.connections.getConnection({ connectionId: unspent });
    expect(well.connection?.problem).toBeUndefined();
    const failure = await failureOf(clients.tokens.refreshToken({ connectionId: spent }));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "ATTENTION_REQUIRED" });
    expect(failure.message).toContain("restored from a backup");
    const lost = await clients.connections.getConnection({ connectionId: spent });
    expect(lost.connection?.problem?.reason).toBe("outcome_unknown");
    await provider.stop();
  });
});

/** Registers the provider when it is not, and consents. */
async function connectTo(place: Place, provider: OpenIdProvider): Promise<string> {
  const clients = place.clients();
  const { providers } = await clients.providers.listProviders({ namePrefix: "op" });
  if (providers.length === 0) {
    await registeredAt(provider, clients);
  }
  return await consented(clients, requestOf("op"));
}
