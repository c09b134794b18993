import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { Browser, consent } from "../../test/fakes/browser.js";
import type { OpenIdProvider } from "../../test/fakes/openid_provider.js";
import type { DaemonProcess } from "./daemon_process.js";
import { DemoFailure } from "./failure.js";
import type { Narrator } from "./narrator.js";
import * as scenes from "./scenes.js";
import type { Sightings } from "./sightings.js";

export interface Stage {
  readonly daemon: DaemonProcess;
  readonly provider: OpenIdProvider;
  readonly tell: Narrator;
  readonly sightings: Sightings;
  /** Whether the demo plays the person too. */
  readonly auto: boolean;
  readonly signal: AbortSignal;
}

const name = "demo";
const scopes = ["openid", "email"];
/** The consent is taken back when this revision of the token was seen. */
const lastRevision = 3n;

/** The main job, from the first call to the end of the stream. */
export async function play(stage: Stage): Promise<void> {
  await registerProvider(stage);
  const connectionId = await connectOnce(stage);
  await holdToken(stage, connectionId);
}

async function registerProvider({ daemon, provider, tell, signal }: Stage): Promise<void> {
  const { clientId, clientSecret } = provider.clients.post;
  const { issuer } = provider;
  const { redirectUri } = await daemon.clients.providers.createProvider(
    { provider: { name, issuer, enableDiscovery: true, clientId, clientSecret, scopes } },
    { signal },
  );
  provider.addRedirectUri(redirectUri);
  tell(scenes.providerRegistered(name, issuer));
}

/** A person consents, and is never asked again. */
async function connectOnce({ daemon, tell, auto, signal }: Stage): Promise<string> {
  const { connectionId, authUrl } = await daemon.clients.connections.requestConnection(
    { userId: "ada", provider: { case: "providerName", value: name } },
    { signal },
  );
  tell(scenes.connectionRequested(name, connectionId, auto ? undefined : authUrl));
  if (auto) await consent(new Browser(), authUrl);

  // Leaving the loop does not end the call: a client of Connect does that by its signal alone.
  const enough = new AbortController();
  const stream = daemon.clients.tokens.watchTokens(
    { connectionIds: [connectionId] },
    { signal: AbortSignal.any([signal, enough.signal]) },
  );
  try {
    for await (const { event } of stream) {
      if (event.case !== "state" || event.value.status === ConnectionStatus.PENDING) continue;
      const { status, problem } = event.value;
      if (status !== ConnectionStatus.ACTIVE) {
        throw new DemoFailure(`there is no consent: ${problem?.message ?? scenes.wordOf(status)}`);
      }
      tell(scenes.consented(connectionId, auto));
      return connectionId;
    }
  } finally {
    enough.abort();
  }
  throw new Error("the stream ended before there was a consent");
}

/** What an agent does all day: it holds one stream open, and every change arrives by itself. */
async function holdToken(stage: Stage, connectionId: string): Promise<void> {
  const { daemon, provider, tell, sightings, signal } = stage;
  let heldRevision = 0n;
  const stream = daemon.clients.tokens.watchTokens({ connectionIds: [connectionId] }, { signal });
  for await (const { event } of stream) {
    if (event.case === "drain") tell(scenes.drain());
    if (event.case !== "state") continue;

    const { revision, status, token } = event.value;
    const isNew = token !== undefined && revision > heldRevision;
    if (isNew) await useToken(provider, token.credentials["access_token"]);
    tell(scenes.tokenState(event.value, heldRevision === 0n));
    if (isNew) {
      heldRevision = revision;
      sightings.addRevision(revision);
    }
    if (isNew && revision === lastRevision) {
      await provider.revokeAllGrants();
      tell(scenes.grantsRevoked());
    }
    if (status === ConnectionStatus.ATTENTION) {
      sightings.attention = true;
      daemon.terminate();
    }
  }
}

/** Any call to the provider's API would do. */
async function useToken(provider: OpenIdProvider, accessToken: string | undefined): Promise<void> {
  const headers = { authorization: `Bearer ${accessToken}` };
  const { ok, status } = await fetch(provider.userinfoEndpoint, { headers });
  if (!ok) throw new DemoFailure(`the provider does not accept the new token: it answers ${status}`);
}
