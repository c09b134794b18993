import { describe, expect, it } from "vitest";
import { at, owner } from "../../../../src/model/access/principal.js";
import { GrantFailure } from "../../../../src/oauth/failure.js";
import { perTest } from "../../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../../engine.js";

const invalid = 'Bearer realm="api", error="invalid_token"';
const insufficient = 'Bearer error="insufficient_scope", scope="repo gist"';

class Rejecting extends Engine {
  constructor(maxRejectionsPerHour = 3) {
    super(undefined, undefined, { maxRejectionsPerHour });
  }

  report(connectionId: string, revision: bigint, status = 401, wwwAuthenticate = invalid, dpopNonce = "") {
    const token = { connectionId, revision, status, wwwAuthenticate, dpopNonce };
    return this.rejected.report(token, at(owner, "unix"));
  }

  reasons(id: string): unknown[] {
    return this.events(id).flatMap(({ type, reason }) => (type === "token_rejected" ? [reason] : []));
  }
}

describe("a proof that an API refuses", () => {
  const engine = perTest(() => new Rejecting());
  const wanted = 'DPoP error="use_dpop_nonce", algs="ES256"';

  it("for its nonce says nothing of the token: the nonce is kept for proxies", async () => {
    const { id } = await engine.connected();
    for (let count = 0; count < 5; count++) {
      const answer = await engine.report(id, 1n, 401, wanted, `n-${count}`);
      expect(answer).toEqual({ outcome: "nonce_wanted", revision: 1n });
    }
    expect(engine.apiNonces.get(id)).toBe("n-4");
    expect([engine.sent.length, engine.reasons(id)]).toEqual([0, []]);
  });

  it.each([
    [wanted, "dpop_nonce"],
    ['DPoP error="invalid_dpop_proof"', "www_authenticate"],
  ])("%s is no report of a token without what it is about", async (challenge, field) => {
    const { id } = await engine.connected();
    await expect(engine.report(id, 1n, 401, challenge)).rejects.toMatchObject({ violations: [{ field }] });
    expect(engine.sent).toEqual([]);
  });
});

describe("RejectedTokens", () => {
  const world = perTest(() => new Rejecting());

  it("refreshes once for fifty reports of one revision, and records what caused it", async () => {
    const { id } = await world.connected();
    const reports = Array.from({ length: 50 }, () => world.report(id, 1n));
    (await world.untilSent(1)).answer({ tokenSet: tokenSet() });
    for (const rejection of await Promise.all(reports)) {
      expect(rejection).toEqual({ outcome: "refreshed", revision: 2n });
    }
    expect(world.sent).toHaveLength(1);
    expect(world.reasons(id)).toEqual(["401 invalid_token"]);
    expect(world.events(id)[1]).toMatchObject({ principal: "owner", origin: "unix", revision: 1n });
  });

  it("does nothing about a late report, whatever it says", async () => {
    const { id } = await world.connected();
    const first = world.report(id, 1n);
    (await world.untilSent(1)).answer({ tokenSet: tokenSet() });
    await first;
    const before = [world.get(id), world.events(id)];
    for (const header of [invalid, insufficient, ""]) {
      expect(await world.report(id, 1n, 401, header)).toEqual({ outcome: "superseded", revision: 2n });
    }
    expect([world.get(id), world.events(id)]).toEqual(before);
    expect(world.sent).toHaveLength(1);
  });

  it("acts on so many reports of one connection in an hour, those of others apart", async () => {
    const { id } = await world.connected();
    for (const revision of [1n, 2n, 3n]) {
      const report = world.report(id, revision);
      (await world.untilSent(Number(revision))).answer({ tokenSet: tokenSet() });
      await report;
      world.clock.advance(60_000);
    }
    await expect(world.report(id, 4n)).rejects.toMatchObject({
      reason: "RATE_LIMITED",
      reached: { limit: 3, retryAfterMs: hourMs - 3 * 60_000, setting: "NEXUS_MAX_REJECTIONS_PER_HOUR" },
    });
    expect(await world.report(id, 3n)).toMatchObject({ outcome: "superseded" });
    expect(world.sent).toHaveLength(3);
    world.clock.advance(hourMs - 3 * 60_000);
    const report = world.report(id, 4n);
    (await world.untilSent(4)).answer({ tokenSet: tokenSet() });
    expect(await report).toEqual({ outcome: "refreshed", revision: 5n });
  });

  it("refuses what it cannot act on, and changes nothing", async () => {
    const { id } = await world.connected();
    const before = world.get(id);
    await expect(world.report(id, 2n)).rejects.toThrow("revision: is ahead of the connection's, which is 1");
    for (const header of [
      "",
      'Bearer error="access_denied"',
      "Basic realm=x",
      insufficient.replace("Bearer", "Basic"),
    ]) {
      await expect(world.report(id, 1n, 403, header)).rejects.toThrow(
        "www_authenticate: must name the error",
      );
    }
    expect(world.get(id)).toEqual(before);
    const still = await world.connection(
      await world.provider("still"),
      tokenSet({ refreshToken: undefined }),
    );
    await expect(world.report(still.id, 1n)).rejects.toMatchObject({ reason: "NOT_REFRESHABLE" });
    expect(world.reasons(still.id)).toEqual(["401 invalid_token"]);
  });

  it("says that a refresh failed to all that share it, and tries again when asked again", async () => {
    const { id } = await world.connected();
    const reports = [world.report(id, 1n), world.report(id, 1n)];
    (await world.untilSent(1)).fail(new GrantFailure({ kind: "transient" }));
    for (const settled of await Promise.allSettled(reports)) {
      expect(settled).toMatchObject({ status: "rejected", reason: { kind: "unavailable" } });
    }
    const again = world.report(id, 1n);
    (await world.untilSent(2)).answer({ tokenSet: tokenSet() });
    expect(await again).toMatchObject({ outcome: "refreshed" });
  });

  it("does not refresh the revision that a consent brings while the report waits for its turn", async () => {
    await world.provider("op");
    const { connectionId: id } = await world.consent(tokenSet());
    const { state } = await world.request({ connectionId: id });
    let exchanged = (): void => {};
    const asked = new Promise<void>((resolve) => {
      world.exchangeCode = () => {
        resolve();
        return new Promise((answer) => {
          exchanged = () => answer(tokenSet());
        });
      };
    });
    const finished = world.finish(state);
    await asked;
    const report = world.report(id, 1n);
    while (world.reasons(id).length === 0) await world.store.commit(() => undefined);
    exchanged();
    await finished;
    expect(await report).toEqual({ outcome: "refreshed", revision: 2n });
    expect(world.sent).toEqual([]);
  });
});

describe("RefreshToken", () => {
  const world = perTest(() => new Rejecting());
  const refresh = async (id: string, isOverdue = false) => {
    if (isOverdue) world.clock.advance(hourMs);
    const sent = world.sent.length + 1;
    const asked = world.tokens.refreshToken(id, owner);
    (await world.untilSent(sent)).answer({ tokenSet: tokenSet() });
    return await asked;
  };
  const limited = { reason: "RATE_LIMITED", reached: { limit: 3, retryAfterMs: hourMs } };

  it("of a token that needs no refresh yet counts as a report does, together with them", async () => {
    const { id } = await world.connected();
    await refresh(id);
    const report = world.report(id, 2n);
    (await world.untilSent(2)).answer({ tokenSet: tokenSet() });
    await report;
    const renewed = world.tokens.renew(id, owner);
    (await world.untilSent(3)).answer({ tokenSet: tokenSet() });
    await renewed;
    for (const call of [
      () => world.tokens.refreshToken(id, owner),
      () => world.tokens.renew(id, owner),
      () => world.report(id, 4n),
    ])
      await expect(call()).rejects.toMatchObject(limited);
    const other = await world.connection(await world.provider("other"));
    const asked = world.tokens.refreshToken(other.id, owner);
    (await world.untilSent(4)).answer({ tokenSet: tokenSet() });
    expect((await asked).revision).toBe(2n);
    expect(world.sent).toHaveLength(4);
  });

  it("is counted once for all who ask at the same time, and not where GetToken would refresh too", async () => {
    const { id } = await world.connected();
    const many = Array.from({ length: 50 }, () => world.tokens.refreshToken(id, owner));
    (await world.untilSent(1)).answer({ tokenSet: tokenSet() });
    expect(new Set((await Promise.all(many)).map(({ revision }) => revision))).toEqual(new Set([2n]));
    for (let count = 0; count < 5; count++) await refresh(id, true);
    expect(world.get(id).credentialRevision).toBe(7n);
    await refresh(id);
    await refresh(id);
    await refresh(id);
    await expect(world.tokens.refreshToken(id, owner)).rejects.toMatchObject({ reason: "RATE_LIMITED" });
  });
});

describe("a report of an insufficient sign-in (RFC 9470)", () => {
  const world = perTest(() => new Rejecting(10));
  const challenge = (parameters: string) => `Bearer error="insufficient_user_authentication", ${parameters}`;
  const connected = async (request: object = { scopes: ["openid"] }) => {
    await world.provider("op");
    return (await world.consent(tokenSet(), request)).connectionId;
  };
  const reported = async (id: string, parameters: string, status = 401) => {
    const rejection = await world.report(id, 1n, status, challenge(parameters));
    if (!rejection.consent) throw new Error("no link");
    return { ...rejection, authUrl: rejection.consent.link.authUrl };
  };
  const locationOf = async (authUrl: string) => {
    const state = new URL(authUrl).searchParams.get("state") ?? "";
    const started = await world.completer.start(state, () => true);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const { searchParams } = new URL(started.location);
    return {
      acr: searchParams.get("acr_values"),
      age: searchParams.get("max_age"),
      scope: searchParams.get("scope"),
    };
  };

  it("refreshes nothing, and answers a link that asks for it", async () => {
    const id = await connected();
    const { authUrl, ...rejection } = await reported(id, 'acr_values="phr", max_age="300"', 403);
    expect(rejection).toMatchObject({
      ...{ outcome: "authentication_insufficient", revision: 1n, missingScopes: [] },
      consent: { reason: "authentication_insufficient" },
    });
    expect(await locationOf(authUrl)).toEqual({ acr: "phr", age: "300", scope: "openid" });
    expect([world.sent, world.reasons(id)]).toEqual([[], ["403 insufficient_user_authentication"]]);
    expect(world.get(id).status).toBe("active");
  });

  it("shares the link that asks for as much, and replaces one that asks for less by one for both", async () => {
    const id = await connected();
    const first = await reported(id, 'acr_values="a b", max_age="300"');
    expect((await reported(id, 'acr_values="b a c", max_age="400"')).authUrl).toBe(first.authUrl);
    const second = await reported(id, 'acr_values="b", scope="read"');
    expect(second.authUrl).not.toBe(first.authUrl);
    expect(second.missingScopes).toEqual(["read"]);
    expect(await locationOf(second.authUrl)).toEqual({ acr: "b", age: "300", scope: "openid read" });
    const third = await world.report(id, 1n, 403, 'Bearer error="insufficient_scope", scope="write"');
    expect(await locationOf(third.consent?.link.authUrl ?? "")).toMatchObject({ acr: "b", age: "300" });
  });

  it("is asked for three times at most while the sign-in cannot have aged, and then again", async () => {
    const id = await connected();
    const minutes = 60_000;
    for (const attempts of [1, 2, 3]) {
      await reported(id, 'max_age="3600"');
      expect(world.get(id).stepUp?.attempts).toBe(attempts);
      world.clock.advance(11 * minutes);
      await world.store.commit((tx) => {
        const connection = tx.getConnection(id);
        const stepUp = connection?.stepUp && { ...connection.stepUp, wanted: false };
        if (connection) tx.putConnection({ ...connection, stepUp });
      });
    }
    await expect(reported(id, 'max_age="3600"')).rejects.toMatchObject({ reason: "SCOPES_NOT_GRANTED" });
    world.clock.advance(60 * minutes);
    await reported(id, 'max_age="3600"');
    expect(world.get(id).stepUp?.attempts).toBe(1);
  });

  it("is sent without an id_token too, which a caller's own request is not", async () => {
    const id = await connected({ scopes: ["read"] });
    expect(await locationOf((await reported(id, "max_age=0")).authUrl)).toMatchObject({ age: "0" });
    const signIn = { acrValues: [], maxAgeSeconds: 0 };
    await expect(world.request({ connectionId: id, scopes: ["read"], signIn })).rejects.toThrow(
      "max_age_seconds: needs the scope openid and an issuer in the profile",
    );
    const device = { connectionId: id, scopes: ["openid"], device: true };
    await expect(world.request({ ...device, signIn: { acrValues: ["a"] } })).rejects.toThrow(
      "acr_values: is for a consent in a browser",
    );
  });
});

describe("a report of missing scopes", () => {
  const world = perTest(() => new Rejecting());
  const signal = new AbortController().signal;
  const write = 'Bearer error="insufficient_scope", scope="read write"';

  const acquire = (scopes: readonly string[] = [], returnUrl?: string) => {
    const name = { providerName: "op", userId: "ada", label: "" };
    const request = { name, scopes, minTtlMs: 0, returnUrl, waitMs: 0, device: false };
    return world.acquirer.acquire(request, { principal: at(owner, "unix"), signal });
  };
  const kinds = async (...asked: readonly (readonly string[])[]) =>
    await Promise.all(asked.map(async (scopes) => (await acquire(scopes)).kind));
  const connected = async (granted = ["read"], asked = granted) => {
    await world.provider("op");
    return (await world.consent(tokenSet({ scopes: granted }), { scopes: asked })).connectionId;
  };
  const linkOf = ({ consent }: Awaited<ReturnType<Rejecting["report"]>>) => {
    if (!consent) throw new Error("no link");
    return consent.link.authUrl;
  };
  const stateOf = (authUrl: string): string => new URL(authUrl).searchParams.get("state") ?? "";
  /** The person agrees on the page of the step-up. */
  const give = async (authUrl: string, scopes: readonly string[]) => {
    world.exchangeCode = () => Promise.resolve(tokenSet({ scopes: [...scopes] }));
    const started = await world.completer.start(stateOf(authUrl), () => true);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const query = new URLSearchParams({ state: stateOf(authUrl), code: "c" });
    await world.completer.finish(query, () => started.binding.value, undefined, "/auth/callback/op");
  };

  it("answers the link to its reporter, and changes nothing for who does not name them", async () => {
    const id = await connected();
    const rejection = await world.report(id, 1n, 403, write);
    expect(rejection).toMatchObject({ outcome: "scopes_missing", revision: 1n, missingScopes: ["write"] });
    expect(rejection.consent).toMatchObject({ reason: "scopes_missing", link: { connectionId: id } });
    expect(await kinds([], ["read"], [])).toEqual(["token", "token", "token"]);
    expect(await acquire(["write"])).toMatchObject({ link: { authUrl: linkOf(rejection) } });
    await give(linkOf(rejection), ["read", "write"]);
    expect(await acquire(["write"])).toMatchObject({ kind: "token", token: { revision: 2n } });
  });

  it("ends with its link", async () => {
    const id = await connected(["read"], ["read", "write"]);
    expect(await kinds(["write"])).toEqual(["token"]);
    const first = await world.report(id, 1n, 403, write);
    expect(await acquire(["write"])).toMatchObject({ link: { authUrl: linkOf(first) } });
    expect(await kinds([], ["read"])).toEqual(["token", "token"]);
    world.clock.advance(10 * 60_000);
    expect(await kinds([], ["read"], ["write"])).toEqual(["token", "token", "token"]);
    const second = await world.report(id, 1n, 403, write);
    expect(linkOf(second)).not.toBe(linkOf(first));
    expect(world.get(id).stepUp).toMatchObject({ attempts: 2, scopes: ["read", "write"] });
  });

  it("locks nobody out of a token that has the scopes, whatever the API says", async () => {
    const id = await connected(["read", "write"]);
    const rejection = await world.report(id, 1n, 403, write);
    expect(rejection).toMatchObject({ missingScopes: [], consent: { reason: "scopes_missing" } });
    expect(await kinds([], ["read"], ["write"], ["read", "write"])).toEqual(Array(4).fill("token"));
    const unnamed = await world.report(id, 1n, 403, 'Bearer error="insufficient_scope"');
    expect(linkOf(unnamed)).toBe(linkOf(rejection));
  });

  it("is acted on once while its link can be opened, for all who report", async () => {
    const id = await connected();
    const reports = await Promise.all(Array.from({ length: 20 }, () => world.report(id, 1n, 403, write)));
    expect(new Set(reports.map(linkOf)).size).toBe(1);
    expect(world.reasons(id)).toEqual(["403 insufficient_scope"]);
    const wider = await world.report(id, 1n, 403, 'Bearer error="insufficient_scope", scope="admin"');
    expect(linkOf(wider)).not.toBe(linkOf(reports[0] ?? wider));
    expect(world.get(id).requestedScopes).toEqual(["read", "write", "admin"]);
  });

  it("shows the scopes before the provider is asked, in a link that AcquireToken widens too", async () => {
    const id = await connected();
    await world.report(id, 1n, 403, write);
    const wider = await acquire(["admin"]);
    if (wider.kind !== "consent") throw new Error("a token");
    expect(await world.completer.start(stateOf(wider.link.authUrl))).toMatchObject({
      kind: "step_up",
      stepUp: { missing: ["read", "write", "admin"], others: [] },
    });
  });

  it("ends with the person's no on the page, and the browser goes back to the application", async () => {
    const id = await connected();
    await world.report(id, 1n, 403, write);
    const wider = await acquire(["admin"], "https://app.example/back");
    if (wider.kind !== "consent") throw new Error("a token");
    const state = stateOf(wider.link.authUrl);
    const started = await world.completer.start(state);
    if (started.kind !== "step_up") throw new Error(started.kind);
    const { binding, stepUp } = started;
    const decline = (formToken: string, cookie = binding.value) =>
      world.completer.decline(state, formToken, () => cookie, undefined);
    expect(await decline("guessed")).toEqual({ kind: "foreign_form" });
    expect(await decline(stepUp.formToken, "another browser")).toEqual({ kind: "foreign_form" });
    expect(await decline(stepUp.formToken)).toEqual({
      kind: "return",
      location: expect.stringMatching(/^https:\/\/app\.example\/back\?status=error&error=access_denied&/),
    });
    expect(await decline(stepUp.formToken)).toEqual({ kind: "unknown_request" });
    expect(await kinds([], ["read"])).toEqual(["token", "token"]);
    expect(await acquire(["write"])).toMatchObject({ kind: "consent", reason: "access_denied" });
  });

  it("takes no such no for a request that no API caused", async () => {
    await connected();
    const up = await acquire(["write"]);
    if (up.kind !== "consent") throw new Error("a token");
    const state = stateOf(up.link.authUrl);
    const outcome = await world.completer.decline(state, "", () => undefined, undefined);
    expect(outcome).toEqual({ kind: "unknown_request" });
    expect((await world.completer.start(state)).kind).toBe("redirect");
  });

  it("says that the person refused the request before", async () => {
    const id = await connected();
    const authUrl = linkOf(await world.report(id, 1n, 403, write));
    const started = await world.completer.start(stateOf(authUrl), () => true);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const query = new URLSearchParams({ state: stateOf(authUrl), error: "access_denied" });
    await world.completer.finish(query, () => started.binding.value, undefined, "/auth/callback/op");
    expect(await kinds([], ["read"])).toEqual(["token", "token"]);
    const again = await world.report(id, 1n, 403, write);
    expect(again.consent).toMatchObject({ reason: "access_denied" });
    expect(linkOf(again)).not.toBe(authUrl);
  });
});
