import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import type { Extension } from "../../src/core/registry.js";
import type { AuditEvent } from "../../src/gen/nexus/v1/audit_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { type Databases, encodeCount, openDatabases } from "../../src/store/lmdb/databases.js";
import { decodeAuditRecord, encodeAuditRecord } from "../../src/store/records/audit_codec.js";
import { storeFileName } from "../../src/store/store.js";
import { ended, fakeShell, jsonLines } from "../cli/fake_shell.js";
import { Browser, consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { auditEvents, recordThroughFleet, untilEvent } from "./audit_events.js";
import { failureOf } from "./errors.js";
import { type Place, World } from "./harness.js";
import { registered, requestOf } from "./requests.js";

const told = (events: AuditEvent[]) =>
  events.map(({ eventType, principal, origin, reason }) => [eventType, principal, origin, reason]);

describe("the audit log", () => {
  const world = perTest(() => World.make());
  const getToken = (connectionId: string) => world.clients.tokens.getToken({ connectionId });
  const request = async (providerId: string) =>
    await world.clients.connections.requestConnection(requestOf(providerId));

  it("tells who did what, from where, in the order in which it happened", async () => {
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    await getToken(connectionId);
    await getToken(connectionId);
    await world.clients.tokens.refreshToken({ connectionId });
    await world.clients.connections.revokeConnection({ connectionId });
    await untilEvent(world.clients, "revoked_at_provider");
    await failureOf(getToken(connectionId));
    await world.clients.connections.deleteConnection({ connectionId });
    await world.clients.providers.deleteProvider({ id: providerId });

    const events = await auditEvents(world.clients);
    expect(told(events)).toEqual([
      ["provider.created", "owner", "unix", "op"],
      ["connection.requested", "owner", "unix", ""],
      ["oauth_flow_completed", "browser", "127.0.0.1", ""],
      ["token_retrieved", "owner", "unix", ""],
      ["token_refreshed", "daemon", "", ""],
      ["token_reads_counted", "owner", "unix", ""],
      ["token_retrieved", "owner", "unix", ""],
      ["connection.revoked", "owner", "unix", ""],
      ["revoked_at_provider", "daemon", "", ""],
      ["token_retrieval_failed", "owner", "unix", "connection_revoked"],
      ["connection.deleted", "owner", "unix", ""],
      ["provider.deleted", "owner", "unix", "op"],
    ]);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => BigInt(index + 1)));
    const about = events.slice(1, -1);
    expect(about.map((event) => event.connectionId)).toEqual(about.map(() => connectionId));
    expect(about.map((event) => event.providerId)).toEqual(about.map(() => providerId));
    expect(await world.clients.audit.verifyAuditLog({})).toMatchObject({
      checked: 12n,
      firstBadSequence: 0n,
      reason: "",
      headSequence: 12n,
      headHash: events.at(-1)?.hash,
    });
  });

  it("tells of consents that came to nothing, and does not let unauthenticated callers fill it", async () => {
    const providerId = await world.register();
    await consent(world.browser, (await request(providerId)).authUrl, "deny");
    const foreign = await consent(new Browser(), (await request(providerId)).authUrl, "allow", (url) =>
      url.startsWith(world.place.config.redirectUri),
    );
    await new Browser().get(foreign.url);
    for (let i = 0; i < 20; i++) {
      await new Browser().get(`${world.place.config.redirectUri}/op?code=x&state=made-up-${i}`);
    }
    const before = await auditEvents(world.clients);
    expect(told(before.filter(({ principal }) => principal === "browser"))).toEqual([
      ["oauth_error", "browser", "127.0.0.1", "access_denied"],
      ["state_verification_failed", "browser", "127.0.0.1", "state_verification_failed"],
      ["state_verification_failed", "browser", "127.0.0.1", "unknown_state"],
    ]);
    world.clock.advance(60_000);
    let after = before;
    while (after.length === before.length) after = await auditEvents(world.clients);
    expect(after.slice(before.length)).toMatchObject([
      { eventType: "state_verification_failed", reason: "unknown_state", count: 19n },
    ]);
  });

  it("tells of a request that nobody answered, and from where a form was filled in", async () => {
    const { connectionId } = await request(await world.register());
    world.clock.advance(600_000);
    const expired = await untilEvent(world.clients, "oauth_error");
    expect(expired).toMatchObject({ connectionId, principal: "daemon", reason: "consent_expired" });

    const providerId = await registered(world.clients, { name: "keys", authType: AuthType.API_KEY });
    const page = await world.browser.get((await request(providerId)).authUrl);
    await world.browser.submit(page, { api_key: "k" });
    expect(told(await auditEvents(world.clients, { eventType: "credential_captured" }))).toEqual([
      ["credential_captured", "browser", "127.0.0.1", ""],
    ]);
  });

  it("puts each revision on record before a watcher gets it", async () => {
    const connectionId = await world.connect(await world.register());
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.state(({ token }) => token?.revision === 1n);
    expect(await auditEvents(world.clients, { eventType: "token_retrieved" })).toMatchObject([
      { connectionId, principal: "owner", origin: "unix", revision: 1n },
    ]);
    await world.clients.tokens.refreshToken({ connectionId });
    await watcher.state(({ token }) => token?.revision === 2n);
    const retrieved = await auditEvents(world.clients, { eventType: "token_retrieved" });
    expect(retrieved.map(({ revision }) => revision)).toEqual([1n, 2n]);
    watcher.cancel();
    await world.restart();
    expect(await auditEvents(world.clients, { eventType: "token_reads_counted" })).toMatchObject([
      { revision: 2n, count: 1n },
    ]);
  });

  it("is listed newest first, in pages, with filters", async () => {
    const providerId = await world.register();
    const ids = [(await request(providerId)).connectionId, (await request(providerId)).connectionId];
    const first = await world.clients.audit.listAuditEvents({ pageSize: 2 });
    expect(first.events.map(({ sequence }) => sequence)).toEqual([3n, 2n]);
    const rest = await world.clients.audit.listAuditEvents({ pageSize: 2, pageToken: first.nextPageToken });
    expect(rest.events.map(({ sequence }) => sequence)).toEqual([1n]);
    expect(rest.nextPageToken).toBe("");
    expect(await auditEvents(world.clients, { connectionId: ids[1] ?? "" })).toMatchObject([
      { sequence: 3n },
    ]);
    expect(await auditEvents(world.clients, { eventType: "provider.created" })).toHaveLength(1);
    expect(await auditEvents(world.clients, { providerId })).toHaveLength(3);
    expect(await auditEvents(world.clients, { providerId: ids[0] ?? "" })).toEqual([]);
    expect(await auditEvents(world.clients, { principal: "owner" })).toHaveLength(3);
    expect(await auditEvents(world.clients, { principal: "daemon" })).toEqual([]);
    const { audit } = world.clients;
    const fresh = await audit.listAuditEvents({ afterSequence: 2n });
    expect(fresh.events.map(({ sequence }) => sequence)).toEqual([3n]);
    expect(fresh.nextPageToken).toBe("");
    const later = { seconds: BigInt(Math.ceil(world.clock.nowMs() / 1000)) + 1n, nanos: 0 };
    expect((await audit.listAuditEvents({ since: later })).events).toEqual([]);
    expect((await failureOf(audit.listAuditEvents({ pageToken: "x" }))).fields).toEqual(["page_token"]);
    expect((await failureOf(audit.listAuditEvents({ pageSize: 1001 }))).fields).toEqual(["page_size"]);
    expect((await failureOf(audit.verifyAuditLog({ checkpointSequence: 1n }))).fields).toEqual([
      "checkpoint_hash",
    ]);
  });

  it("nexusd audit says through which spoke and which hub an event came", async () => {
    await recordThroughFleet(world);
    const shell = await ended(
      0,
      ["audit", "list", "--type", "token_retrieved"],
      fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } }),
    );
    expect(shell.out()).toMatch(/ key:ci +10\.1\.1\.1:4711 for owner via jwt:spoke via 10\.0\.0\.2:7443\s/);
    const json = await ended(
      0,
      ["audit", "list", "--type", "token_retrieved", "--json"],
      fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } }),
    );
    expect(jsonLines(json.out())).toMatchObject([{ via: ["jwt:spoke", "10.0.0.2:7443"] }]);
  });

  it("nexusd audit refuses a type that no event can have, and knows those of extensions", async () => {
    const env = { NEXUS_DATA_DIR: world.place.config.dataDir };
    const extension = { name: "trial", auditEvents: ["trial.noted"] } as unknown as Extension;
    const shell = { ...fakeShell({ env }), extensions: [extension] };
    const audit = (...args: string[]) => run(["audit", ...args], shell);
    expect([await audit("--type", "token_retreived"), shell.out()]).toEqual([2, ""]);
    expect(shell.err()).toContain(
      "--type: token_retreived is no type of event: did you mean token_retrieved",
    );
    expect(await audit("--type", "zzz")).toBe(2);
    expect(shell.err()).toContain("these are: access.denied, ");
    for (const type of ["trial.noted", "store.restored"]) expect(await audit("--type", type)).toBe(0);
  });

  it("verify finds what somebody changed in the file, and nexusd audit says which", async () => {
    const connectionId = await world.connect(await world.register());
    await getToken(connectionId);
    const command = async (...args: string[]) => {
      const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } });
      return { code: await run(["audit", ...args], shell), out: shell.out(), err: shell.err() };
    };
    const intact = await command("verify");
    expect(intact).toMatchObject({ code: 0, err: "" });
    expect(intact.out).toMatch(/^4 events verified, none was changed\nhead 4:[0-9a-f]{64}\n/);
    const head = /head (\S+)/.exec(intact.out)?.[1] ?? "";
    expect((await command("verify", "--checkpoint", head)).code).toBe(0);

    await world.stop();
    await editFile(world.place, ({ audit }) => {
      const key = encodeCount(4n);
      const record = decodeAuditRecord(audit.getBinary(key) ?? Buffer.alloc(0));
      if (record) audit.putSync(key, encodeAuditRecord({ ...record, principal: "admin" }, record.hash));
    });
    await world.start();
    const altered = await command("verify");
    expect(altered.code).toBe(1);
    expect(altered.err).toContain("event 4 is not as it was written");

    await world.stop();
    await editFile(world.place, ({ audit }) => void audit.removeSync(encodeCount(2n)));
    await world.start();
    const removed = await command("verify", "--json");
    expect(removed.code).toBe(1);
    expect(jsonLines(removed.out)).toMatchObject([
      { first_bad_sequence: "2", reason: "missing", checked: "1" },
    ]);
    const listed = await command("--json", "--limit", "2", "--connection", connectionId);
    expect(jsonLines(listed.out).map(({ sequence }) => sequence)).toEqual(["3", "4"]);
    const table = await command("list", "--type", "oauth_flow_completed", "--since", "1h");
    expect(table.out).toMatch(
      /^TIME +EVENT +BY +FROM +ABOUT +DETAILS\n\S+ +oauth_flow_completed +browser +127/,
    );
  });
});

async function editFile(place: Place, edit: (databases: Databases) => void): Promise<void> {
  const databases = openDatabases(join(place.config.dataDir, storeFileName));
  databases.root.transactionSync(() => edit(databases));
  await databases.root.close();
}
