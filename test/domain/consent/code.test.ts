import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import { CountedAudit } from "../../../src/domain/access/access.js";
import { CodeConsent } from "../../../src/domain/consent/code.js";
import { ConsentEnding } from "../../../src/domain/consent/consent_ending.js";
import { ConsentJudge } from "../../../src/domain/consent/ways.js";
import { RevocationQueue } from "../../../src/domain/grants/revocation_queue.js";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { FailedPrecondition, Unavailable } from "../../../src/model/errors.js";
import { DiscoveryFailure } from "../../../src/oauth/discovery.js";
import { KeyedMutex } from "../../../src/runtime/keyed_mutex.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";
import { Engine, tokenSet } from "../engine.js";

describe("CodeConsent", () => {
  const engine = perTest(() => new Engine());

  /** A person consents, and the provider answers the code with `tokens`. */
  const consent = async (connectionId: string | undefined, tokens: TokenSet): Promise<string> => {
    const consented = await engine.consent(tokens, { connectionId });
    expect(consented.result.kind).toBe("done");
    return consented.connectionId;
  };

  it.each<[what: string, failure: Error, kind: string]>([
    [
      "cannot be reached",
      new Unavailable("down", undefined, new DiscoveryFailure("unreachable", "https://op.example", "gone")),
      "provider_unreachable",
    ],
    [
      "answers badly",
      new Unavailable(
        "bad",
        undefined,
        new DiscoveryFailure("not_json", "https://op.example", "a page of HTML"),
      ),
      "provider_misconfigured",
    ],
    [
      "is not what the profile says",
      new FailedPrecondition("PROVIDER_MISCONFIGURED", "another issuer"),
      "provider_misconfigured",
    ],
  ])("tells a provider that %s from the others, when a link is opened", async (_what, failure, kind) => {
    await engine.provider("op");
    const { state } = await engine.request();
    const { store, vault, clock, changes } = engine;
    const shared = { store, vault, clock, changes, log: silentLog };
    const completer = new CodeConsent({
      ...shared,
      servers: { resolve: () => Promise.reject(failure) },
      judge: new ConsentJudge(shared),
      commits: engine.consents.commits,
      ending: new ConsentEnding({ ...shared, revocations: new RevocationQueue(shared) }),
      grants: {
        exchangeCode: engine.exchangeCode,
        openResponse: () => Promise.reject(failure),
        pushAuthorization: () => Promise.reject(failure),
        signAuthorization: () => Promise.reject(failure),
      },
      unknownStateAudit: new CountedAudit(shared),
      locks: new KeyedMutex(),
    });
    const noted: string[] = [];
    changes.on("consentFailed", (_providerId, reason) => void noted.push(reason));
    expect(await completer.start(state)).toEqual({ kind });
    expect(noted).toEqual([kind === "provider_unreachable" ? kind : "misconfigured"]);
  });

  it("commits three times, the state consumed before the code is sent, and tells watchers of what they can see", async () => {
    await engine.provider("op");
    const steps: string[] = [];
    const committed = (): void => void steps.push("committed");
    subscribe("nexus.store.committed", committed);
    engine.changes.on("connections", () => void steps.push("announced"));
    engine.exchangeCode = () => {
      steps.push("sent");
      return Promise.resolve(tokenSet());
    };
    try {
      const { state } = await engine.request();
      expect(await engine.finish(state)).toMatchObject({ kind: "done" });
    } finally {
      unsubscribe("nexus.store.committed", committed);
    }
    const requested = ["committed", "announced"];
    const consumed = ["committed"];
    const stored = ["committed", "announced"];
    expect(steps).toEqual([...requested, ...consumed, "sent", ...stored]);
  });

  it("waits for two commits once a user returns, which those who return at the same time share", async () => {
    await engine.provider("op");
    const requests = await Promise.all(Array.from({ length: 8 }, () => engine.request()));
    const transactions = () =>
      engine.store.raw(({ root }) => root.getStats() as { readonly lastTxnId: number });
    const before = transactions().lastTxnId;
    const ends = await Promise.all(requests.map(({ state }) => engine.finish(state)));
    expect(ends.map(({ kind }) => kind)).toEqual(Array(8).fill("done"));
    expect(transactions().lastTxnId - before).toBe(2);
  });

  it.each([
    ["error=access_denied", "denied_without_state"],
    ["error=server_error", "answer_without_state"],
    ["code=c", "answer_without_state"],
    ["error=access_denied&state=none", "unknown_request"],
  ])("blames no link for the answer %s", async (query, kind) => {
    const { completer } = engine;
    const answer = await completer.finish(
      new URLSearchParams(query),
      () => undefined,
      undefined,
      "/auth/callback/op",
    );
    expect(answer).toEqual({ kind });
  });

  it("keeps the refresh token when the same account consents again and none is issued", async () => {
    await engine.provider("op");
    const first = tokenSet({ subject: "ada@op" });
    const id = await consent(undefined, first);
    await consent(id, tokenSet({ subject: "ada@op", refreshToken: undefined }));
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, refreshable: true });
    expect(engine.refreshTokenOf(id)).toBe(first.refreshToken?.reveal());
  });

  it.each([
    ["another account", "bob@op"],
    ["an account that is not known", undefined],
  ])("never mixes the refresh token of one account with a token of %s", async (_name, subject) => {
    await engine.provider("op");
    const id = await consent(undefined, tokenSet({ subject: "ada@op" }));
    await consent(id, tokenSet({ subject, refreshToken: undefined }));
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, refreshable: false });
    expect(engine.refreshTokenOf(id)).toBeUndefined();
  });

  it("takes the new refresh token when one is issued", async () => {
    await engine.provider("op");
    const id = await consent(undefined, tokenSet({ subject: "ada@op" }));
    const second = tokenSet({ subject: "ada@op" });
    await consent(id, second);
    expect(engine.refreshTokenOf(id)).toBe(second.refreshToken?.reveal());
  });
});
