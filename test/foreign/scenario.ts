import type { Browser } from "playwright-core";
import { type Connection, ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import type { Answer, CountingProxy } from "./counting_proxy.js";
import { eventually, Final } from "./eventually.js";
import {
  clientId,
  type ForeignServer,
  lifetimeSeconds,
  type Person,
  type RunningServer,
} from "./foreign_server.js";
import { grant } from "./person.js";
import { accessTokenOf, codeOf, type Sidecar } from "./sidecar.js";

export interface Grant {
  readonly connectionId: string;
  /** The refresh token of the code exchange. */
  readonly refreshToken: string;
}

/** A sidecar, a server behind its proxy, and the profile that leads from one to the other. */
export class Scenario {
  #providerId = "";
  #secret = "";

  constructor(
    private readonly foreign: ForeignServer,
    readonly server: RunningServer,
    readonly proxy: CountingProxy,
    readonly sidecar: Sidecar,
    private readonly browser: Browser,
  ) {}

  /** The profile first: what it says is registered at the server, and must hold. */
  async register(): Promise<void> {
    this.#secret = this.#newSecret("first");
    const { provider, redirectUri } = await this.sidecar.providers.createProvider({
      provider: { name: "foreign", clientId, clientSecret: this.#secret, ...this.server.profile },
    });
    this.#providerId = provider?.id ?? "";
    await this.server.register(redirectUri, this.#secret);
  }

  /** A new connection with the person's consent, or an old one consented to again. */
  async connect(person: Person, connectionId?: string): Promise<Grant> {
    const requested = await this.sidecar.connections.requestConnection({
      userId: person,
      provider: { case: "providerId", value: this.#providerId },
      ...(connectionId === undefined ? {} : { connectionId }),
    });
    await grant(this.browser, requested.authUrl, this.server, person);
    const { refresh_token: refreshToken } = JSON.parse(
      this.proxy.grants("authorization_code").at(-1)?.body ?? "{}",
    );
    equal(typeof refreshToken, "string", "the refresh token of the code exchange");
    return { connectionId: requested.connectionId, refreshToken };
  }

  async checkConsent(person: Person): Promise<Grant> {
    const granted = await this.connect(person);
    const exchanges = this.proxy.grants("authorization_code");
    equal(exchanges.length, 1, "code exchanges");
    const token = await this.sidecar.token(granted.connectionId);
    equal(Number(token.revision), 1, "the revision");
    const remaining = Number(token.expiresAt?.seconds) - Date.now() / 1000;
    if (remaining < 0 || remaining > lifetimeSeconds + 1)
      throw new Error(`the token lives ${remaining} s more`);
    equal(await this.server.isAlive(accessTokenOf(token)), true, "the server takes the token");
    return granted;
  }

  /** Nobody calls: the daemon refreshes by itself, before the token ends, and every new token is good. */
  async checkThreeRefreshes({ connectionId }: Grant): Promise<void> {
    for (let count = 0; count < 3; count++) {
      const before = await this.sidecar.connection(connectionId);
      const endMs = Number(before.expiresAt?.seconds) * 1000;
      const after = await this.#refreshed(before, lifetimeSeconds + 15);
      if (Date.now() > endMs) throw new Error(`refreshed only ${Date.now() - endMs} ms after the end`);
      equal(after.revision, before.revision + 1n, "the revision");
      const token = await this.sidecar.token(connectionId);
      equal(await this.server.isAlive(accessTokenOf(token)), true, "the server takes the new token");
    }
  }

  /** Every refresh so far redeemed another token, and rotated it. */
  async checkRotation(): Promise<void> {
    const good = this.proxy.grants("refresh_token").filter(({ status }) => status === 200);
    const sent = good.map(({ form }) => form.get("refresh_token"));
    equal(new Set(sent).size, sent.length, "refresh tokens that were redeemed once");
    for (const { form, body } of good) {
      const { refresh_token: next } = JSON.parse(body);
      if (typeof next !== "string" || next === form.get("refresh_token"))
        throw new Error("no new refresh token");
    }
    if (good.length < 3) throw new Error(`only ${good.length} refreshes`);
  }

  /** A thief redeems the refresh token before the daemon does, and uses what it gets. The daemon then presents a used one. */
  async checkReuse(person: Person): Promise<void> {
    const { connectionId, refreshToken } = await this.connect(person);
    const stolen = await this.#redeem(refreshToken);
    equal(stolen.status, 200, "the thief's redemption");
    const { access_token: accessToken, refresh_token: next } = JSON.parse(stolen.body.toString());
    equal(await this.server.isAlive(accessToken), true, "the server takes the thief's token");

    equal(
      await codeOf(this.sidecar.tokens.refreshToken({ connectionId })),
      "FailedPrecondition",
      "a refresh",
    );
    await this.#isInAttention(connectionId, "reauth_required");
    equal(this.proxy.timesSent(refreshToken), 1, "times that the refresh token was sent");
    const isTaken = (await this.#redeem(next)).status === 200;
    equal(isTaken, this.foreign.reuse.is === "is refused", "the server takes the thief's next refresh token");
    await this.#comesBack(connectionId, person);
  }

  /** Killed when its request was on the way and never arrived: the one retry is good. */
  async checkKilledBefore({ connectionId, refreshToken }: Grant): Promise<void> {
    await this.#madeGood(connectionId);
    equal(this.proxy.timesSent(refreshToken), 2, "times that the refresh token was sent");
  }

  /** Killed when the server had answered: the token set is lost. It is tried once more, and then a person is asked. */
  async checkKilledAfter({ connectionId, refreshToken }: Grant, person: Person): Promise<void> {
    if (this.foreign.lostAnswer.is === "active") await this.#madeGood(connectionId);
    else await this.#isInAttention(connectionId, "outcome_unknown", 60);
    equal(this.proxy.timesSent(refreshToken), 2, "times that the refresh token was sent");
    if (this.foreign.lostAnswer.is === "outcome_unknown") await this.#comesBack(connectionId, person);
    else await this.sidecar.tokens.refreshToken({ connectionId });
  }

  /** One SIGKILL while both are in a refresh: one before the server has the request, one when it has answered. */
  async killInRefresh(before: Grant, after: Grant): Promise<void> {
    const caught = [
      this.proxy.hold(before.refreshToken, "before"),
      this.proxy.hold(after.refreshToken, "after"),
    ];
    const calls = [before, after].map(({ connectionId }) =>
      codeOf(this.sidecar.tokens.refreshToken({ connectionId })),
    );
    await Promise.all(caught);
    await this.sidecar.killAndRestart();
    await Promise.all(calls);
  }

  /** `RevokeConnection`: the server is told, and takes neither token any more. */
  async checkRevokedHere(person: Person): Promise<void> {
    const { connectionId, refreshToken } = await this.connect(person);
    const accessToken = accessTokenOf(await this.sidecar.token(connectionId));
    const before = this.proxy.exchanges.length;
    await this.sidecar.connections.revokeConnection({ connectionId });
    await eventually("the server is told", 30, async () => {
      const told = this.proxy.exchanges
        .slice(before)
        .filter(({ form }) => form.get("token") === refreshToken)
        .map(({ status }) => status);
      equal(told.at(-1), 200, "the status of the revocation");
    });
    const { status } = await this.#redeem(refreshToken);
    if (status === 200) throw new Error("the server takes the refresh token");
    await eventually("the access token is dead", lifetimeSeconds + 5, async () => {
      equal(await this.server.isAlive(accessToken), false, "the server takes the access token");
    });
    equal(await codeOf(this.sidecar.token(connectionId)), "FailedPrecondition", "GetToken");
    equal((await this.sidecar.connection(connectionId)).status, ConnectionStatus.REVOKED, "the status");
  }

  /** The person withdraws consent at the server: the next refresh finds out, and a new consent mends it. */
  async checkRevokedThere(person: Person): Promise<void> {
    const { connectionId, refreshToken } = await this.connect(person);
    await this.server.endGrant(person);
    // The daemon finds out by itself when the refresh is due.
    await this.#isInAttention(connectionId, "reauth_required", lifetimeSeconds + 60);
    const times = this.proxy.timesSent(refreshToken);
    if (times > 6) throw new Error(`the dead refresh token was sent ${times} times`);
    equal(await codeOf(this.sidecar.token(connectionId)), "FailedPrecondition", "GetToken");
    await this.#comesBack(connectionId, person);
  }

  /** The secret is changed at the server, and then in the profile. */
  async checkSecret({ connectionId }: Grant): Promise<void> {
    await this.sidecar.tokens.refreshToken({ connectionId });
    const before = await this.sidecar.connection(connectionId);
    this.#secret = this.#newSecret("second");
    await this.server.changeSecret(this.#secret);
    equal(
      await codeOf(this.sidecar.tokens.refreshToken({ connectionId })),
      "FailedPrecondition",
      "a refresh",
    );
    const refused = await this.sidecar.connection(connectionId);
    equal(refused.problem?.reason, "misconfigured", "the problem");
    equal(refused.status, ConnectionStatus.ACTIVE, "the status while the token lives");
    equal((await this.sidecar.token(connectionId)).revision, before.revision, "the living token");
    await this.sidecar.providers.updateProvider({
      provider: { id: this.#providerId, clientSecret: this.#secret },
      updateMask: { paths: ["client_secret"] },
    });
    const mended = await this.#refreshed(before, 30);
    equal(mended.problem, undefined, "the problem after the profile was mended");
  }

  /** Longer than the token lives. */
  async checkOutage({ connectionId }: Grant): Promise<void> {
    await this.sidecar.tokens.refreshToken({ connectionId });
    const before = await this.sidecar.connection(connectionId);
    await this.proxy.close();
    try {
      equal(await codeOf(this.sidecar.tokens.refreshToken({ connectionId })), "Unavailable", "a refresh");
      const failing = await this.sidecar.connection(connectionId);
      equal(failing.problem?.reason, "refresh_failing", "the problem");
      equal(failing.status, ConnectionStatus.ACTIVE, "the status");
      equal((await this.sidecar.token(connectionId)).revision, before.revision, "the living token");
      await eventually("the token ends", lifetimeSeconds + 10, async () => {
        equal(await codeOf(this.sidecar.token(connectionId)), "Unavailable", "GetToken");
      });
      const endMs = Number(before.expiresAt?.seconds) * 1000;
      if (Date.now() < endMs) throw new Error("a living token was not answered");
    } finally {
      await this.proxy.open();
    }
    const after = await this.#refreshed(before, 150);
    equal(after.problem, undefined, "the problem after the outage");
    equal(
      await this.server.isAlive(accessTokenOf(await this.sidecar.token(connectionId))),
      true,
      "the token",
    );
  }

  /** Holds what clients encode in different ways. In the header of Basic only what is the same, encoded or not. */
  #newSecret(word: string): string {
    const isBasic =
      this.server.profile.tokenEndpointAuthMethod === TokenEndpointAuthMethod.CLIENT_SECRET_BASIC;
    return `${word}-secret-._~!'()*${isBasic ? "" : " %+&=/"}`;
  }

  async #madeGood(connectionId: string): Promise<void> {
    const { status, problem } = await eventually("the refresh is made good", 60, async () => {
      const read = await this.sidecar.connection(connectionId);
      equal(read.revision, 2n, "the revision");
      return read;
    });
    equal(status, ConnectionStatus.ACTIVE, "the status");
    equal(problem, undefined, "the problem");
  }

  /** Asks the token endpoint with the client's own secret. */
  async #redeem(refreshToken: string): Promise<Answer> {
    const path = this.proxy.grants("authorization_code").at(-1)?.path ?? "";
    const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken });
    if (this.server.profile.tokenEndpointAuthMethod === TokenEndpointAuthMethod.CLIENT_SECRET_BASIC) {
      const basic = Buffer.from(`${clientId}:${this.#secret}`).toString("base64");
      return await this.proxy.post(path, form, { authorization: `Basic ${basic}` });
    }
    form.set("client_id", clientId);
    form.set("client_secret", this.#secret);
    return await this.proxy.post(path, form);
  }

  async #isInAttention(connectionId: string, reason: string, maxSeconds = 10): Promise<void> {
    await eventually(`attention, ${reason}`, maxSeconds, async () => {
      const { status, problem } = await this.sidecar.connection(connectionId);
      const said = `${ConnectionStatus[status]}, ${problem?.reason}: ${problem?.message}`;
      if (status !== ConnectionStatus.ATTENTION) throw new Error(said);
      if (problem?.reason !== reason) throw new Final(said);
    });
  }

  async #comesBack(connectionId: string, person: Person): Promise<void> {
    await this.connect(person, connectionId);
    const { status, problem } = await this.sidecar.connection(connectionId);
    equal(status, ConnectionStatus.ACTIVE, "the status after a new consent");
    equal(problem, undefined, "the problem after a new consent");
    equal(
      await this.server.isAlive(accessTokenOf(await this.sidecar.token(connectionId))),
      true,
      "the token",
    );
  }

  async #refreshed(before: Connection, maxSeconds: number): Promise<Connection> {
    return await eventually("it is refreshed", maxSeconds, async () => {
      const after = await this.sidecar.connection(before.id);
      if (after.revision > before.revision) return after;
      const { status, problem } = after;
      throw new Error(`${ConnectionStatus[status]}, ${problem?.reason}: ${problem?.message}`);
    });
  }
}

function equal(is: unknown, should: unknown, what: string): void {
  if (is !== should) throw new Error(`${what}: ${String(is)}, not ${String(should)}`);
}
