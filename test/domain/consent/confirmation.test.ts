import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Connections } from "../../../src/domain/connections/connections.js";
import { ConsentConfirmation } from "../../../src/domain/consent/confirmation.js";
import { ConnectionCompleter } from "../../../src/domain/consent/consent_flow.js";
import { UnknownStateAudit } from "../../../src/domain/consent/unknown_state_audit.js";
import { revocationPlace } from "../../../src/domain/credentials/associated_data.js";
import { IssuerMetadata } from "../../../src/domain/grants/issuer_metadata.js";
import { RevocationQueue } from "../../../src/domain/grants/revocation_queue.js";
import { admin, owner } from "../../../src/model/access/principal.js";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { KeyedMutex } from "../../../src/runtime/keyed_mutex.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { silentLog } from "../../silent_log.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

const returnUrl = "https://app.example/back";

describe("a consent that waits for its confirmation", () => {
  let engine: Engine;
  let manager: Connections;
  let completer: ConnectionCompleter;
  let confirmer: ConsentConfirmation;
  let answer: TokenSet;
  beforeEach(async () => {
    engine = new Engine();
    const { store, vault, clock, writer } = engine;
    const shared = { store, vault, clock, log: silentLog };
    const servers = new IssuerMetadata({
      ...shared,
      networks: loopbackNetworks,
      fetchDocument: () => Promise.reject(new Error()),
    });
    const revocations = new RevocationQueue({ vault, clock });
    const locks = new KeyedMutex<string>();
    const all = { ...shared, servers, revocations, writer, locks };
    const allowedReturnOrigins = ["https://app.example"];
    manager = new Connections({ ...all, publicUrl: "http://localhost:8080", allowedReturnOrigins });
    completer = new ConnectionCompleter({
      ...all,
      grants: { exchangeCode: () => Promise.resolve(answer) },
      unknownStateAudit: new UnknownStateAudit(shared),
      spool: engine.spool,
      onAccepted: (providerId) => void engine.changes.emit("clientAccepted", providerId),
    });
    confirmer = new ConsentConfirmation(all);
    engine.scheduler.start();
    await engine.provider("op", {
      oauth2: { ...plainOAuth2, revocationUrl: "https://op.example/revoke" },
    });
  });
  afterEach(() => engine.close());

  /** A consent that the provider answers with `tokens`. */
  const consent = async (tokens: TokenSet, connectionId?: string, requireConfirmation = true) => {
    answer = tokens;
    const provider = { name: "op" };
    const request = { userId: "ada", provider, scopes: [], returnUrl, connectionId, requireConfirmation };
    const { state, connectionId: id } = await manager.request(request, owner);
    const started = await completer.start(state);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const query = new URLSearchParams({ state, code: "c" });
    const outcome = await completer.finish(
      query,
      () => started.binding.value,
      undefined,
      "/auth/callback/op",
    );
    if (outcome.kind !== "return") throw new Error(outcome.kind);
    return { id, code: new URL(outcome.location).searchParams.get("completion_code") ?? "" };
  };
  const revoked = () => {
    const { store, vault } = engine;
    return store
      .dueRevocations(10)
      .flatMap(({ id }) => store.getRevocation(id) ?? [])
      .map((entry) => vault.openToken(revocationPlace(entry), entry.sealed).reveal());
  };
  const untilOver = (id: string) => {
    engine.clock.advance(10 * 60_000);
    return engine.until(id, (connection) => connection.awaitingConfirmation !== true);
  };

  it("counts lifetimes from when the token came, not from the confirmation", async () => {
    const { id, code } = await consent(tokenSet({ expiresInMs: hourMs, refreshExpiresInMs: 2 * hourMs }));
    const receivedAtMs = engine.clock.nowMs();
    engine.clock.advance(5 * 60_000);
    await confirmer.confirm(id, code, owner);
    expect(engine.get(id)).toMatchObject({
      expiresAtMs: receivedAtMs + hourMs,
      refreshExpiresAtMs: receivedAtMs + 2 * hourMs,
    });
  });

  it("keeps everything that the provider said", async () => {
    const tokens = tokenSet({ scopes: ["a"], subject: "ada@op", metadata: { team: "t" } });
    const { id, code } = await consent(tokens);
    await confirmer.confirm(id, code, owner);
    expect(engine.get(id)).toMatchObject({
      grantedScopes: ["a"],
      subject: "ada@op",
      metadata: { team: "t" },
      refreshable: true,
    });
    const stored = engine.store.getCredential(id);
    if (!stored) throw new Error("no credential");
    const opened = engine.vault.openCredential(engine.get(id), stored);
    expect(opened.refreshToken?.reveal()).toBe(tokens.refreshToken?.reveal());
    expect(opened.accessToken.reveal()).toBe(tokens.accessToken.reveal());
  });

  it("leaves the refreshing of an active connection alone", async () => {
    const { id } = await consent(tokenSet(), undefined, false);
    engine.clock.advance(hourMs - 8 * 60_000);
    await consent(tokenSet(), id);
    engine.clock.advance(7 * 60_000);
    await engine.untilSent(1);
    engine.sent[0]?.answer({ tokenSet: tokenSet() });
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(engine.get(id)).toMatchObject({ status: "active", awaitingConfirmation: true });
  });

  it.each([
    ["another account", "bob@op", 1],
    ["an account that nobody knows", undefined, 1],
    ["the account that the connection holds already", "ada@op", 0],
  ])("that nobody confirms is revoked when it is of %s", async (_name, subject, count) => {
    const { id } = await consent(tokenSet({ subject: "ada@op" }), undefined, false);
    const second = tokenSet({ subject });
    await consent(second, id);
    await untilOver(id);
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 1n, problem: undefined });
    expect(revoked()).toEqual(count === 0 ? [] : [second.refreshToken?.reveal()]);
  });

  it("is nobody's but the requester's", async () => {
    const { id, code } = await consent(tokenSet());
    await expect(confirmer.confirm(id, code, admin)).rejects.toThrow("is not yours");
    await confirmer.confirm(id, code, owner);
    expect(engine.get(id).status).toBe("active");
  });

  it("is confirmed once by any number of callers", async () => {
    const { id, code } = await consent(tokenSet());
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => confirmer.confirm(id, code, owner)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(engine.get(id).credentialRevision).toBe(1n);
  });

  it("is not erased by a wrong code, nor confirmed after its time", async () => {
    const { id, code } = await consent(tokenSet());
    await expect(confirmer.confirm(id, `${code}x`, owner)).rejects.toThrow("4 of 5");
    await untilOver(id);
    await expect(confirmer.confirm(id, code, owner)).rejects.toThrow("expired");
    expect(engine.get(id)).toMatchObject({
      status: "expired",
      problem: { reason: "confirmation_expired" },
      requestExpiresAtMs: undefined,
      pendingStateHash: undefined,
    });
  });
});
