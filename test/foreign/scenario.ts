import { generateKeyPairSync } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectionStatus, ProviderRevocation } from "../../src/gen/nexus/v1/connection_pb.js";
import { GrantType, type ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import { eventually } from "./eventually.js";
import { lifetimeSeconds, type Person } from "./foreign_server.js";
import { accessTokenOf, codeOf } from "./sidecar.js";
import { equal, type Grant, type Stage } from "./stage.js";

type MachineProfile = Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;

/** What must hold at every server. Each check has a connection of its own, but where it is given one. */
export class Scenario {
  constructor(private readonly stage: Stage) {}

  async checkConsent(person: Person): Promise<Grant> {
    const granted = await this.stage.connect(person);
    const exchanges = this.stage.proxy.grants("authorization_code");
    equal(exchanges.length, 1, "code exchanges");
    const token = await this.stage.sidecar.token(granted.connectionId);
    equal(Number(token.revision), 1, "the revision");
    const remaining = Number(token.expiresAt?.seconds) - Date.now() / 1000;
    if (remaining < 0 || remaining > lifetimeSeconds + 1)
      throw new Error(`the token lives ${remaining} s more`);
    equal(await this.stage.server.isAlive(accessTokenOf(token)), true, "the server takes the token");
    return granted;
  }

  /** Nobody calls: the daemon refreshes by itself, before the token ends, and every new token is good. */
  async checkThreeRefreshes({ connectionId }: Grant): Promise<void> {
    for (let count = 0; count < 3; count++) {
      const before = await this.stage.sidecar.connection(connectionId);
      const endMs = Number(before.expiresAt?.seconds) * 1000;
      const after = await this.stage.refreshed(before, lifetimeSeconds + 15);
      if (Date.now() > endMs) throw new Error(`refreshed only ${Date.now() - endMs} ms after the end`);
      equal(after.revision, before.revision + 1n, "the revision");
      const token = await this.stage.sidecar.token(connectionId);
      equal(await this.stage.server.isAlive(accessTokenOf(token)), true, "the server takes the new token");
    }
  }

  /**
   * No person: each client mints at once, the daemon mints anew by itself before the token ends, and a revoked token is dead. Who proves
   * itself wrongly is told whose fault it is.
   */
  async checkMachines(): Promise<void> {
    const { sidecar, server } = this.stage;
    const machines = (await server.registerMachines?.()) ?? [];
    if (machines.length === 0) throw new Error("no machines");
    await Promise.all(machines.map((machine) => this.#checkMachine(machine)));
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const other = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const byKey = machines.find(({ clientId }) => clientId === "by-key");
    const wrong = { ...this.#machineProfile({ ...byKey, clientSecret: other }), name: "wrong-key" };
    await sidecar.providers.createProvider({ provider: wrong });
    const request = { userId: "machine", providerName: "wrong-key" };
    equal(await codeOf(sidecar.tokens.acquireToken(request)), "FailedPrecondition", "with another key");
  }

  /** A token of a connection that may two things becomes one that may one of them; what the server does not give is said. */
  async checkExchange(): Promise<void> {
    const { sidecar, server, proxy } = this.stage;
    const exchanger = await server.registerExchanger?.();
    if (!exchanger) throw new Error("no exchanger");
    const profile = this.#machineProfile(exchanger.profile);
    await sidecar.providers.createProvider({ provider: profile });
    const name = { userId: "machine", providerName: profile.name ?? "" };
    const { result } = await sidecar.tokens.acquireToken(name);
    if (result.case !== "token") throw new Error("no token");
    const subject = result.value;
    const wide = claimsOf(accessTokenOf(subject));
    for (const [scope, audience] of Object.entries(exchanger.audiences)) {
      const asked = { name, audience, scopes: [scope] };
      const { token } = await sidecar.tokens.getToken(asked);
      if (!token) throw new Error("no token");
      const narrow = claimsOf(accessTokenOf(token));
      equal(String(narrow["aud"]), audience, `the audience of a token for ${scope}`);
      equal(String(wide["aud"]).includes(audience), true, "the connection's token is for it too");
      equal(String(narrow["scope"]).split(" ").includes(scope), true, "the scope");
      // The connection's token may have been minted anew meanwhile.
      if (token.revision === subject.revision) {
        const isWithin = Number(token.expiresAt?.seconds) <= Number(subject.expiresAt?.seconds);
        equal(isWithin, true, "it ends with its subject at the latest");
      }
      equal(
        (await sidecar.tokens.getToken(asked)).token?.credentials["access_token"],
        accessTokenOf(token),
        "again",
      );
    }
    equal(proxy.grants("urn:ietf:params:oauth:grant-type:token-exchange").length, 2, "exchanges");
    const elsewhere = sidecar.tokens.getToken({ name, audience: "nobody" });
    equal(await codeOf(elsewhere), "FailedPrecondition", "an audience that there is not");
    const wider = sidecar.tokens.getToken({ name, scopes: ["phone"] });
    equal(await codeOf(wider), "InvalidArgument", "a scope that the connection has not");
  }

  async #checkMachine(machine: MachineProfile): Promise<void> {
    const { sidecar, server } = this.stage;
    const name = machine.clientId ?? "";
    await sidecar.providers.createProvider({ provider: this.#machineProfile(machine) });
    const { connection } = await sidecar.connections.requestConnection({
      userId: "machine",
      provider: { case: "providerName", value: name },
    });
    if (!connection) throw new Error(`${name}: no connection`);
    const isAlive = async (): Promise<boolean> =>
      await server.isAlive(accessTokenOf(await sidecar.token(connection.id)));
    equal(await isAlive(), true, `${name}: the server takes the token`);
    const after = await this.stage.refreshed(connection, lifetimeSeconds + 15);
    if (Date.now() > Number(connection.expiresAt?.seconds) * 1000)
      throw new Error(`${name}: minted after the end`);
    equal(after.revision, 2n, `${name}: the revision`);
    const last = accessTokenOf(await sidecar.token(connection.id));
    equal(await server.isAlive(last), true, `${name}: the server takes the next token`);
    const revoked = await sidecar.connections.revokeConnection({ connectionId: connection.id });
    equal(revoked.connection?.providerRevocation, ProviderRevocation.DONE, `${name}: the revocation`);
    equal(await server.isAlive(last), false, `${name}: the server takes the revoked token`);
  }

  #machineProfile(machine: MachineProfile): MachineProfile {
    const profile = this.stage.server.profile as MachineProfile;
    return { ...profile, grantType: GrantType.CLIENT_CREDENTIALS, ...machine, name: machine.clientId ?? "" };
  }

  /** Every refresh so far redeemed another token, and rotated it. */
  async checkRotation(): Promise<void> {
    const good = this.stage.proxy.grants("refresh_token").filter(({ status }) => status === 200);
    const sent = good.map(({ form }) => form.get("refresh_token"));
    equal(new Set(sent).size, sent.length, "refresh tokens that were redeemed once");
    for (const { form, body } of good) {
      const answer = JSON.parse(body);
      const next = answer.refresh_token;
      if (typeof next === "string" && next !== form.get("refresh_token")) continue;
      const which = next === undefined ? "no" : "the same";
      throw new Error(`${which} refresh token in an answer with ${Object.keys(answer).join(", ")}`);
    }
    if (good.length < 3) throw new Error(`only ${good.length} refreshes`);
  }

  /** A thief redeems the refresh token before the daemon does, and uses what it gets. The daemon then presents a used one. */
  async checkReuse(person: Person): Promise<void> {
    const { connectionId, refreshToken } = await this.stage.connect(person);
    const stolen = await this.stage.redeem(refreshToken);
    equal(stolen.status, 200, "the thief's redemption");
    const { access_token: accessToken, refresh_token: next } = JSON.parse(stolen.body.toString());
    equal(await this.stage.server.isAlive(accessToken), true, "the server takes the thief's token");

    const code = this.stage.foreign.deadToken.is === "reauth_required" ? "FailedPrecondition" : "Unavailable";
    equal(await codeOf(this.#refresh(connectionId)), code, "a refresh");
    const { status } = await this.stage.redeem(next);
    const isTaken = this.stage.foreign.reuse.is === "is refused";
    equal(status === 200, isTaken, "the server takes the thief's next refresh token");
    await this.stage.isGivenUp(connectionId, refreshToken);
    await this.stage.comesBack(connectionId, person);
  }

  /** Killed when its request was on the way and never arrived: the one retry is good. */
  async checkKilledBefore({ connectionId, refreshToken }: Grant): Promise<void> {
    await this.stage.madeGood(connectionId);
    equal(this.stage.proxy.timesSent(refreshToken), 2, "times that the refresh token was sent");
  }

  /** Killed when the server had answered: the token set is lost. It is tried once more, and then a person is asked. */
  async checkKilledAfter({ connectionId, refreshToken }: Grant, person: Person): Promise<void> {
    if (this.stage.foreign.lostAnswer.is === "active") await this.stage.madeGood(connectionId);
    else await this.stage.isInAttention(connectionId, "outcome_unknown", 60);
    equal(this.stage.proxy.timesSent(refreshToken), 2, "times that the refresh token was sent");
    if (this.stage.foreign.lostAnswer.is === "outcome_unknown")
      await this.stage.comesBack(connectionId, person);
    else await this.#refresh(connectionId);
  }

  /** One SIGKILL while both are in a refresh: one before the server has the request, one when it has answered. */
  async killInRefresh(before: Grant, after: Grant): Promise<void> {
    const caught = [
      this.stage.proxy.hold(before.refreshToken, "before"),
      this.stage.proxy.hold(after.refreshToken, "after"),
    ];
    const calls = [before, after].map(({ connectionId }) => codeOf(this.#refresh(connectionId)));
    await Promise.all(caught);
    await this.stage.sidecar.killAndRestart();
    await Promise.all(calls);
  }

  /** `RevokeConnection`: the server is told, and takes neither token any more. */
  async checkRevokedHere(person: Person): Promise<void> {
    const { connectionId, refreshToken } = await this.stage.connect(person);
    const accessToken = accessTokenOf(await this.stage.sidecar.token(connectionId));
    const before = this.stage.proxy.exchanges.length;
    await this.stage.sidecar.connections.revokeConnection({ connectionId });
    await eventually("the server is told", 30, async () => {
      const told = this.stage.proxy.exchanges
        .slice(before)
        .filter(({ form }) => form.get("token") === refreshToken)
        .map(({ status }) => status);
      equal(told.at(-1), 200, "the status of the revocation");
    });
    const { status } = await this.stage.redeem(refreshToken);
    if (status === 200) throw new Error("the server takes the refresh token");
    await eventually("the access token is dead", lifetimeSeconds + 5, async () => {
      equal(await this.stage.server.isAlive(accessToken), false, "the server takes the access token");
    });
    equal(await codeOf(this.stage.sidecar.token(connectionId)), "FailedPrecondition", "GetToken");
    equal((await this.stage.sidecar.connection(connectionId)).status, ConnectionStatus.REVOKED, "the status");
  }

  /** The person withdraws consent at the server: the next refresh finds out, and a new consent mends it. */
  async checkRevokedThere(person: Person): Promise<void> {
    const { connectionId, refreshToken } = await this.stage.connect(person);
    await this.stage.server.endGrant(person);
    // The daemon finds out by itself when the refresh is due.
    await this.stage.isGivenUp(connectionId, refreshToken);
    equal(await codeOf(this.stage.sidecar.token(connectionId)), "FailedPrecondition", "GetToken");
    await this.stage.comesBack(connectionId, person);
  }

  /** The secret is changed at the server, and then in the profile. */
  async checkSecret({ connectionId }: Grant, person: Person): Promise<void> {
    await this.#refresh(connectionId);
    const before = await this.stage.sidecar.connection(connectionId);
    await this.stage.changeSecret();
    const isSaid = this.stage.foreign.wrongSecret.is === "misconfigured";
    equal(
      await codeOf(this.#refresh(connectionId)),
      isSaid ? "FailedPrecondition" : "Unavailable",
      "a refresh",
    );
    const refused = await this.stage.sidecar.connection(connectionId);
    equal(refused.problem?.reason, isSaid ? "misconfigured" : "refresh_failing", "the problem");
    equal(refused.status, ConnectionStatus.ACTIVE, "the status while the token lives");
    equal((await this.stage.sidecar.token(connectionId)).revision, before.revision, "the living token");
    await this.stage.mendProfile();
    if (!isSaid) {
      await this.stage.comesBack(connectionId, person);
      await this.#refresh(connectionId);
      return;
    }
    const mended = await this.stage.refreshed(before, 30);
    equal(mended.problem, undefined, "the problem after the profile was mended");
  }

  /** Longer than the token lives. */
  async checkOutage({ connectionId }: Grant): Promise<void> {
    await this.#refresh(connectionId);
    const before = await this.stage.sidecar.connection(connectionId);
    await this.stage.proxy.close();
    try {
      equal(await codeOf(this.#refresh(connectionId)), "Unavailable", "a refresh");
      const failing = await this.stage.sidecar.connection(connectionId);
      equal(failing.problem?.reason, "refresh_failing", "the problem");
      equal(failing.status, ConnectionStatus.ACTIVE, "the status");
      equal((await this.stage.sidecar.token(connectionId)).revision, before.revision, "the living token");
      const endMs = Number(before.expiresAt?.seconds) * 1000 + 1_000;
      // Nobody asks meanwhile: callers may cause attempts.
      await eventually("the token ends", lifetimeSeconds + 5, async () => {
        if (Date.now() < endMs) throw new Error("it lives");
      });
      equal(await codeOf(this.stage.sidecar.token(connectionId)), "Unavailable", "GetToken");
    } finally {
      await this.stage.proxy.open();
    }
    const after = await this.stage.refreshed(before, 150);
    equal(after.problem, undefined, "the problem after the outage");
    equal(
      await this.stage.server.isAlive(accessTokenOf(await this.stage.sidecar.token(connectionId))),
      true,
      "the token",
    );
  }

  #refresh(connectionId: string): Promise<unknown> {
    return this.stage.sidecar.tokens.refreshToken({ connectionId });
  }
}

function claimsOf(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString("utf8"));
}
