import { beforeEach, describe, expect, it } from "vitest";
import {
  CredentialReader,
  type CurrentToken,
  TokenCache,
} from "../../../src/domain/connections/credential_reader.js";
import { ReadAudit } from "../../../src/domain/reading/read_audit.js";
import { Tokens } from "../../../src/domain/reading/tokens.js";
import { owner } from "../../../src/model/access/principal.js";
import { FailedPrecondition, NotFound, Unavailable } from "../../../src/model/errors.js";
import { newId } from "../../../src/model/ids.js";
import { noTracing } from "../../../src/model/tracing.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

describe("Tokens", () => {
  const engine = perTest(() => new Engine());
  let tokens: Tokens;
  beforeEach(() => {
    const { store, vault, clock, refresher, changes } = engine;
    const reader = new CredentialReader({ store, vault, clock, cache: new TokenCache(changes) });
    tokens = new Tokens({
      store,
      reader,
      refresher,
      readAudit: new ReadAudit({ store, clock, log: silentLog }),
      limit: { take: () => undefined },
      rules: { admit: () => undefined, takeBack: () => undefined },
      tracing: noTracing,
      clock,
    });
  });

  const first = tokenSet();
  const connected = async (set = first): Promise<string> => (await engine.connected(set)).id;
  const accessTokenOf = (token: CurrentToken): string | undefined => token.credentials["access_token"];
  const events = (id: string) =>
    engine.store
      .listAuditEvents({ limit: 20, connectionId: id })
      .events.map(({ event: { type, reason } }) => ({ type, reason }));
  const get = (id: string, minTtlMs = 0) =>
    Promise.resolve().then(() => tokens.getToken(id, minTtlMs, owner));

  it("records a read before the token leaves, and answers at once when it is read again", async () => {
    const id = await connected();
    const promised = tokens.getToken(id, 0, owner);
    expect(promised).toBeInstanceOf(Promise);
    const token = await promised;
    expect(accessTokenOf(token)).toBe(first.accessToken.reveal());
    expect(events(id)).toEqual([{ type: "token_retrieved", reason: undefined }]);
    expect(tokens.getToken(id, 0, owner)).toBe(token);
  });

  it("lets no token out whose read cannot be recorded", async () => {
    const id = await connected();
    engine.store.commit = () => Promise.reject(new Error("no room"));
    await expect(get(id)).rejects.toThrow(Unavailable);
  });

  it("has no caller wait for as long as a token request may take, and serves who asks again its answer", async () => {
    const id = await connected();
    engine.clock.advance(hourMs);
    const waiting = Promise.allSettled([get(id), tokens.refreshToken(id, owner)]);
    const sent = await engine.untilSent(1);
    engine.clock.advance(25_000);
    const late = { status: "rejected", reason: expect.any(Unavailable) };
    expect(await waiting).toEqual([late, late]);
    const again = get(id);
    const second = tokenSet();
    sent.answer({ tokenSet: second });
    expect(accessTokenOf(await again)).toBe(second.accessToken.reveal());
    expect(engine.sent).toHaveLength(1);
  });

  it("answers the token that is there in its refresh window, and refreshes it meanwhile", async () => {
    const id = await connected();
    engine.clock.advance(hourMs - 60_000);
    expect(accessTokenOf(await get(id))).toBe(first.accessToken.reveal());
    await engine.untilSent(1);
    const second = tokenSet();
    engine.sent[0]?.answer({ tokenSet: second });
    await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
    expect(accessTokenOf(await get(id))).toBe(second.accessToken.reveal());
  });

  it("refreshes an expired token first, once for all callers", async () => {
    const id = await connected();
    engine.clock.advance(hourMs);
    const asked = [get(id), get(id), get(id)];
    await engine.untilSent(1);
    const second = tokenSet();
    engine.sent[0]?.answer({ tokenSet: second });
    const answers = await Promise.all(asked);
    expect(answers.map(accessTokenOf)).toEqual(Array(3).fill(second.accessToken.reveal()));
    expect(engine.sent).toHaveLength(1);
  });

  it("refreshes a token that lives too short, but asks for no more than a new one has", async () => {
    const id = await connected();
    expect(accessTokenOf(await get(id, 10 * hourMs))).toBe(first.accessToken.reveal());
    engine.clock.advance(hourMs / 2);
    const asked = get(id, 50 * 60_000);
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet() });
    expect((await asked).revision).toBe(2n);
  });

  it("says when to come again after a refresh that failed, and records the refusal", async () => {
    const id = await connected();
    engine.clock.advance(hourMs);
    const asked = get(id);
    asked.catch(() => undefined);
    const busy = { kind: "transient", httpStatus: 503, retryAfterMs: 30_000 } as const;
    (await engine.untilSent(1)).fail(new GrantFailure(busy));
    await expect(asked).rejects.toMatchObject({ kind: "unavailable", retryAfterMs: 30_000 });
    expect(events(id)).toContainEqual({ type: "token_retrieval_failed", reason: "unavailable" });
  });

  it("tells what a person must do", async () => {
    const id = await connected();
    const asked = tokens.refreshToken(id, owner);
    asked.catch(() => undefined);
    (await engine.untilSent(1)).fail(new GrantFailure({ kind: "invalid_grant", httpStatus: 400 }));
    const refusal = { reason: "ATTENTION_REQUIRED", problem: "reauth_required" };
    await expect(asked).rejects.toMatchObject(refusal);
    await expect(get(id)).rejects.toMatchObject(refusal);
  });

  it("does not refresh what has no refresh token, and names an id that is none", async () => {
    const id = await connected(tokenSet({ refreshToken: undefined }));
    await expect(tokens.refreshToken(id, owner)).rejects.toThrow(FailedPrecondition);
    await expect(tokens.refreshToken(id, owner)).rejects.toMatchObject({ reason: "NOT_REFRESHABLE" });
    engine.clock.advance(hourMs);
    await expect(get(id)).rejects.toMatchObject({ problem: "no_refresh_token" });
    await expect(get(newId())).rejects.toThrow(NotFound);
  });

  it("serves the token before one that is another account's until it expires, and asks for no other", async () => {
    const id = await connected();
    const asked = tokens.refreshToken(id, owner);
    asked.catch(() => undefined);
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet(), idTokenViolation: "sub" });
    const refusal = { reason: "ATTENTION_REQUIRED", problem: "account_changed" };
    await expect(asked).rejects.toMatchObject(refusal);
    await expect(tokens.refreshToken(id, owner)).rejects.toMatchObject(refusal);
    expect(accessTokenOf(await get(id, 10 * hourMs))).toBe(first.accessToken.reveal());
    engine.clock.advance(hourMs);
    await expect(get(id)).rejects.toMatchObject(refusal);
    expect(engine.sent).toHaveLength(1);
  });
});
