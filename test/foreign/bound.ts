import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { DpopMode, type ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import { claimsOf } from "../../src/oauth/jwt.js";
import { eventually } from "./eventually.js";
import { lifetimeSeconds, type Person } from "./foreign_server.js";
import { accessTokenOf } from "./sidecar.js";
import { equal, type Stage } from "./stage.js";

type Profile = Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

/** What must hold at a server that binds tokens to keys (RFC 9449). */
export class BoundScenario {
  constructor(private readonly stage: Stage) {}

  /** A client that must sign and push its requests, signs what it is, and proves its key: consent, refreshes by itself, and a SIGKILL between. */
  async checkBound(person: Person): Promise<void> {
    const { sidecar, server, proxy } = this.stage;
    const bound = await server.makeBound?.();
    if (!bound) throw new Error("no client with bound tokens");
    const created = await sidecar.providers.createProvider({
      provider: this.#profile("bound", bound.profile),
    });
    await bound.register(created.redirectUri);
    const before = proxy.exchanges.length;
    const requested = await sidecar.connections.requestConnection({
      userId: person,
      provider: { case: "providerName", value: "bound" },
    });
    await this.stage.consentTo(requested.authUrl, person);
    const { connectionId } = requested;
    const said = proxy.exchanges.slice(before);
    const pushed = said.filter(({ form, status }) => {
      const { dpop_jkt: thumbprint, response_mode: mode } = claimsOf(form.get("request") ?? "") ?? {};
      return thumbprint !== undefined && mode === "jwt" && !form.has("dpop_jkt") && status === 201;
    });
    equal(
      pushed.length >= 1,
      true,
      "authorization requests that were signed and pushed, with the thumbprint",
    );
    const codes = said.filter(({ form }) => form.get("grant_type") === "authorization_code");
    equal(
      codes.every(({ form }) => form.has("client_assertion")),
      true,
      "code exchanges that are signed",
    );
    await this.#checkProved(connectionId);

    for (let count = 0; count < 2; count++) {
      const held = await sidecar.connection(connectionId);
      const after = await this.stage.refreshed(held, lifetimeSeconds + 15);
      equal(after.revision, held.revision + 1n, "the revision");
      await this.#checkProved(connectionId);
      if (count === 0) await sidecar.killAndRestart();
    }
    const refreshes = proxy.grants("refresh_token").filter(({ form }) => form.has("client_assertion"));
    const sent = refreshes.map(({ form }) => form.get("refresh_token"));
    equal(new Set(sent).size, sent.length, "refresh tokens that were sent once");
  }

  /** A public client on a device without a browser: its refresh token is bound to the key, too. */
  async checkDevice(person: Person): Promise<void> {
    const { sidecar, server, proxy } = this.stage;
    const device = await server.registerDevice?.();
    if (!device) throw new Error("no client for devices");
    await sidecar.providers.createProvider({ provider: this.#profile("device", device) });
    const requested = await sidecar.connections.requestConnection({
      userId: person,
      provider: { case: "providerName", value: "device" },
      device: true,
    });
    const { connectionId, verificationUriComplete } = requested;
    await this.stage.enterCode(verificationUriComplete, person);
    await eventually("the device has its token", 30, async () => {
      equal((await sidecar.connection(connectionId)).status, ConnectionStatus.ACTIVE, "the status");
    });
    const asked = proxy.exchanges.filter(({ form }) => form.get("grant_type") === deviceGrant);
    equal(asked.at(-1)?.status, 200, "the last answer to the device code");
    await this.#checkProved(connectionId);
    await sidecar.tokens.refreshToken({ connectionId });
    await this.#checkProved(connectionId);
  }

  /** The server takes the token with a proof, and as a bearer token it takes it not. */
  async #checkProved(connectionId: string): Promise<void> {
    const { sidecar, server } = this.stage;
    const token = await sidecar.token(connectionId);
    equal(token.tokenType, "DPoP", "the type of the token");
    const prove = async (method: string, url: string): Promise<string> =>
      (await sidecar.tokens.createProof({ connectionId, method, url })).proof;
    equal(await server.isProved?.(accessTokenOf(token), prove), true, "the server takes it with a proof");
    equal(await server.isAlive(accessTokenOf(token)), false, "the server takes it without one");
  }

  #profile(name: string, profile: Profile): Profile {
    const { $typeName: _, ...own } = this.stage.server.profile as Profile & { $typeName?: string };
    const oauth2Options = { ...profile.oauth2Options, dpop: DpopMode.ALWAYS };
    return { ...own, ...profile, name, oauth2Options } as Profile;
  }
}
