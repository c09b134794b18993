import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import type { TokenState } from "../../src/gen/nexus/v1/token_pb.js";
import { Browser, consent } from "../../test/fakes/browser.js";
import type { OpenIdProvider } from "../../test/fakes/openid_provider.js";
import type { DaemonProcess } from "./daemon_process.js";
import { DemoFailure } from "./failure.js";
import type { Narrator } from "./narrator.js";
import type { Sightings } from "./sightings.js";

export interface Stage {
  readonly daemon: DaemonProcess;
  readonly provider: OpenIdProvider;
  readonly narrator: Narrator;
  readonly sightings: Sightings;
  /** Whether the demo plays the person too. */
  readonly auto: boolean;
  readonly signal: AbortSignal;
}

const name = "demo";
const lastRevision = 3n;

/** The main job from the first call to the end of the stream. */
export async function play(stage: Stage): Promise<void> {
  await registerProvider(stage);
  const connectionId = await connectOnce(stage);
  await holdToken(stage, connectionId);
}

async function registerProvider({ daemon, provider, narrator, signal }: Stage): Promise<void> {
  const { clientId, clientSecret } = provider.clients.post;
  const scopes = ["openid", "email"];
  const { issuer } = provider;
  await daemon
    .clients()
    .providers.createProvider(
      { provider: { name, issuer, enableDiscovery: true, clientId, clientSecret, scopes } },
      { signal },
    );
  narrator.tell(
    { step: "provider_registered", provider: name, issuer },
    {
      headline: `Registered the provider "${name}" by discovery`,
      why: ["Its address was enough: the endpoints and keys come from its discovery document."],
      byHand: `nexusd provider create ${name} --issuer ${issuer} --client-id ${clientId} --scopes ${scopes}`,
    },
  );
}

/** A person consents; from here on nobody is asked again. */
async function connectOnce({ daemon, narrator, auto, signal }: Stage): Promise<string> {
  const { connections, tokens } = daemon.clients();
  const { connectionId, authUrl } = await connections.requestConnection(
    { userId: "ada", provider: { case: "providerName", value: name } },
    { signal },
  );
  narrator.tell(
    { step: "connection_requested", connection_id: connectionId, ...(auto ? {} : { url: authUrl }) },
    {
      headline: "The agent asked for a connection on behalf of ada",
      why: ["It gets a URL for a person to open. It never sees a password, nor a refresh token."],
      byHand: `nexusd connect ${name}`,
    },
  );
  if (auto) {
    const page = await consent(new Browser(), authUrl);
    if (page.status !== 200) throw new DemoFailure(`the consent ended on a page with status ${page.status}`);
  } else {
    narrator.banner([
      "Open this in your browser, continue as ada, and press Allow:",
      "",
      authUrl,
      "",
      "(No browser on this machine? Ctrl-C, then: npm run demo -- --auto)",
    ]);
  }
  for await (const { event } of tokens.watchTokens({ connectionIds: [connectionId] }, { signal })) {
    if (event.case !== "state" || event.value.status === ConnectionStatus.PENDING) continue;
    if (event.value.status === ConnectionStatus.ACTIVE) {
      narrator.tell(
        { step: "consented", connection_id: connectionId },
        {
          headline: auto ? "Consent was given, by the demo itself over HTTP" : "You gave your consent",
          why: ["The daemon exchanged the code for tokens and sealed them on disk."],
        },
      );
      return connectionId;
    }
    const { problem, status } = event.value;
    throw new DemoFailure(`there is no consent: ${problem?.message ?? wordOf(status)}`);
  }
  throw new DemoFailure("the stream ended before there was a consent");
}

/** What an agent does all day: one stream, on which every change arrives by itself. */
async function holdToken(stage: Stage, connectionId: string): Promise<void> {
  const { daemon, narrator, provider, sightings, signal } = stage;
  let lastSeen = 0n;
  const stream = daemon.clients().tokens.watchTokens({ connectionIds: [connectionId] }, { signal });
  for await (const { event } of stream) {
    if (event.case === "drain") {
      narrator.tell(
        { step: "drain" },
        { headline: "The daemon said goodbye on the stream", why: ["An agent knows when to come back."] },
      );
    }
    if (event.case !== "state") continue;
    const { revision, status } = event.value;
    await tellToken(stage, event.value, lastSeen === 0n);
    lastSeen = revision;
    if (status === ConnectionStatus.ATTENTION) {
      sightings.attention = true;
      daemon.terminate();
    } else if (status === ConnectionStatus.ACTIVE) {
      sightings.add(revision);
      if (revision === lastRevision) {
        await provider.revokeAllGrants();
        narrator.tell(
          { step: "grants_revoked" },
          {
            headline: "Ada took her consent back in the provider's console",
            why: ["The daemon is not told; it learns at the next refresh."],
          },
        );
      }
    }
  }
}

async function tellToken({ narrator, provider }: Stage, state: TokenState, isFirst: boolean): Promise<void> {
  const { status, revision, token, problem, connectionId } = state;
  const expiresAt = token?.expiresAt && timestampDate(token.expiresAt);
  const step = problem ? wordOf(status) : isFirst ? "snapshot" : "refreshed";
  const record = {
    step,
    revision: Number(revision),
    status: wordOf(status),
    expires_at: expiresAt?.toISOString() ?? null,
    ...(problem ? { reason: problem.reason } : {}),
  };
  if (!token) {
    narrator.tell(record, {
      headline: `${wordOf(status)}: there is no token any more`,
      why: [
        problem?.message ?? "",
        "The stream stays open, and the next consent under the same id brings it back.",
      ],
      byHand: `nexusd connect --connection ${connectionId}`,
    });
    return;
  }
  if (!(await isAccepted(provider, token.credentials["access_token"]))) {
    throw new DemoFailure(`the provider does not accept the token of revision ${revision}`);
  }
  const refresh = token.refreshNotBefore && secondsUntil(timestampDate(token.refreshNotBefore));
  narrator.tell(record, {
    headline: `${isFirst ? "Snapshot" : "Refreshed"}: token rev ${revision}, expires in ${secondsUntil(expiresAt)} s`,
    why: [
      isFirst
        ? "The first thing on the stream is what is true now; the provider accepts this token."
        : "Nobody asked for it. The old refresh token is used up, the new one is on disk already.",
      ...(problem
        ? [problem.message]
        : [`The daemon fetches the next one in ${refresh} s, before this one ends.`]),
    ],
    ...(isFirst ? { byHand: `nexusd watch ${connectionId}` } : {}),
  });
}

async function isAccepted(provider: OpenIdProvider, accessToken: string | undefined): Promise<boolean> {
  const headers = { authorization: `Bearer ${accessToken}` };
  return (await fetch(provider.userinfoEndpoint, { headers })).ok;
}

function wordOf(status: ConnectionStatus): string {
  return ConnectionStatus[status].toLowerCase();
}

function secondsUntil(time: Date | undefined): number {
  return time === undefined ? 0 : Math.round((time.getTime() - Date.now()) / 1000);
}
