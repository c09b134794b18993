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
import { accessTokenOf, type Sidecar } from "./sidecar.js";

export interface Grant {
  readonly connectionId: string;
  /** The refresh token of the code exchange. */
  readonly refreshToken: string;
}

/** A sidecar, a server behind its proxy, and the profile that leads from one to the other. */
export class Stage {
  #providerId = "";
  #secret = "";
  #connecting: Promise<unknown> = Promise.resolve();

  constructor(
    readonly foreign: ForeignServer,
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

  /** A new connection with the person's consent, or an old one consented to again; one after the other. */
  connect(person: Person, connectionId?: string): Promise<Grant> {
    const connecting = this.#connecting.then(() => this.#connect(person, connectionId));
    this.#connecting = connecting.catch(() => undefined);
    return connecting;
  }

  async #connect(person: Person, connectionId: string | undefined): Promise<Grant> {
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

  /** The person opens the link and grants what is asked. */
  async consentTo(authUrl: string, person: Person): Promise<void> {
    await grant(this.browser, authUrl, this.server, person);
  }

  /** The person opens the page of a device authorization and grants what is asked. */
  async enterCode(verificationUri: string, person: Person): Promise<void> {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    try {
      await page.goto(verificationUri);
      await this.server.enterCode?.(page, person);
    } catch (error) {
      const words = (await page.textContent("body").catch(() => "")) ?? "";
      throw new Error(`${(error as Error).message}\nat ${page.url().split("?")[0]}: ${words.slice(0, 500)}`);
    } finally {
      await context.close();
    }
  }

  /** Gives the client another secret at the server alone. */
  async changeSecret(): Promise<void> {
    this.#secret = this.#newSecret("second");
    await this.server.changeSecret(this.#secret);
  }

  /** Writes the secret that the server has into the profile. */
  async mendProfile(): Promise<void> {
    await this.sidecar.providers.updateProvider({
      provider: { id: this.#providerId, clientSecret: this.#secret },
      updateMask: { paths: ["client_secret"] },
    });
  }

  /** Holds what clients encode in different ways. In the header of Basic only what is the same, encoded or not. */
  #newSecret(word: string): string {
    const isBasic =
      this.server.profile.tokenEndpointAuthMethod === TokenEndpointAuthMethod.CLIENT_SECRET_BASIC;
    return `${word}-secret-._~!'()*${isBasic ? "" : " %+&=/"}`;
  }

  async madeGood(connectionId: string): Promise<void> {
    const { status, problem } = await eventually("the refresh is made good", 60, async () => {
      const read = await this.sidecar.connection(connectionId);
      equal(read.revision, 2n, "the revision");
      return read;
    });
    equal(status, ConnectionStatus.ACTIVE, "the status");
    equal(problem, undefined, "the problem");
  }

  /** Asks the token endpoint with the client's own secret. */
  async redeem(refreshToken: string): Promise<Answer> {
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

  /** A person is asked: at once where the server says that the grant is dead, else when others were served between three refusals. */
  async isGivenUp(connectionId: string, refreshToken: string): Promise<void> {
    const isSaid = this.foreign.deadToken.is === "reauth_required";
    const neighbour = isSaid ? undefined : await this.connect("gus");
    await this.isInAttention(connectionId, this.foreign.deadToken.is, lifetimeSeconds + 180, neighbour);
    const times = this.proxy.timesSent(refreshToken);
    // Refusals that came before the neighbour was served do not count for the daemon.
    if (times > (isSaid ? 1 : 12)) throw new Error(`the dead token was sent ${times} times`);
    const { problem } = await this.sidecar.connection(connectionId);
    if (!isSaid && !problem?.message.includes("400"))
      throw new Error(`no HTTP status in: ${problem?.message}`);
  }

  /** @param neighbour is refreshed while the connection is in trouble */
  async isInAttention(
    connectionId: string,
    reason: string,
    maxSeconds: number,
    neighbour?: Grant,
  ): Promise<void> {
    await eventually(`attention, ${reason}`, maxSeconds, async () => {
      const { status, problem } = await this.sidecar.connection(connectionId);
      const said = `${ConnectionStatus[status]}, ${problem?.reason}: ${problem?.message}`;
      if (status !== ConnectionStatus.ATTENTION) {
        if (problem && neighbour) {
          await this.sidecar.tokens.refreshToken({ connectionId: neighbour.connectionId });
        }
        throw new Error(said);
      }
      if (problem?.reason !== reason) throw new Final(said);
    });
  }

  async comesBack(connectionId: string, person: Person): Promise<void> {
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

  async refreshed(before: Connection, maxSeconds: number): Promise<Connection> {
    return await eventually("it is refreshed", maxSeconds, async () => {
      const after = await this.sidecar.connection(before.id);
      if (after.revision > before.revision) return after;
      const { status, problem } = after;
      throw new Error(`${ConnectionStatus[status]}, ${problem?.reason}: ${problem?.message}`);
    });
  }
}

/** @throws Error with both values */
export function equal(is: unknown, should: unknown, what: string): void {
  if (is !== should) throw new Error(`${what}: ${String(is)}, not ${String(should)}`);
}
