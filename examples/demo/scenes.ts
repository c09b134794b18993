import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import type { TokenState } from "../../src/gen/nexus/v1/token_pb.js";
import { namePath } from "../../src/model/connections/connection_name.js";
import { nexusd, type Scene } from "./narrator.js";

export function daemonStarted(dataDir: string, publicUrl: string): Scene {
  return {
    record: { step: "daemon_started", data_dir: dataDir, public_url: publicUrl },
    headline: "Started nexusd, the daemon that stands beside an agent",
    why: [
      "It runs on free ports and in a temporary folder. To try what is said below, first, in another terminal and this folder:",
      `export NEXUS_DATA_DIR=${dataDir}`,
    ],
    byHand: `${nexusd} status`,
  };
}

export function providerStarted(issuer: string, accessTokenTtlSeconds: number): Scene {
  return {
    record: { step: "provider_started", issuer, access_token_ttl_seconds: accessTokenTtlSeconds },
    headline: "Started a certified OpenID provider, instead of Google and the like",
    why: [
      `Its access tokens live ${accessTokenTtlSeconds} s, so that you need not wait an hour. A refresh token works once:`,
      "whoever uses one a second time loses the whole consent.",
    ],
  };
}

export function providerRegistered(name: string, issuer: string): Scene {
  return {
    record: { step: "provider_registered", provider: name, issuer },
    headline: `Registered the provider "${name}" by discovery`,
    why: ["Its address was enough: endpoints and keys come from the document that it publishes."],
    byHand: `${nexusd} provider show ${name}`,
  };
}

/** @param authUrl what a person must open; undefined when no person is needed, and then it stays unsaid */
export function connectionRequested(name: string, connectionId: string, authUrl: string | undefined): Scene {
  const scene: Scene = {
    record: { step: "connection_requested", connection_id: connectionId },
    headline: "The agent asked for a connection on behalf of ada",
    why: ["It got a URL for a person to open. It will never see a password, nor a refresh token."],
    byHand: `${nexusd} connect ${name}/ada`,
  };
  if (authUrl === undefined) return scene;
  return {
    ...scene,
    record: { ...scene.record, url: authUrl },
    banner: [
      "Open this in your browser, continue as ada and press Allow:",
      "",
      authUrl,
      "",
      "(No browser on this machine? Ctrl-C, then: npm run demo -- --auto)",
    ],
  };
}

export function consented(connectionId: string, auto: boolean): Scene {
  return {
    record: { step: "consented", connection_id: connectionId },
    headline: auto ? "Consent was given, by the demo itself over HTTP" : "You gave your consent",
    why: ["It was for once: the tokens lie sealed on disk, and nobody will be asked again."],
  };
}

/** The line of a token: what the stream says of the connection. */
export function tokenState(state: TokenState, isFirst: boolean): Scene {
  const { status, revision, token, problem } = state;
  const expiresAt = token?.expiresAt && timestampDate(token.expiresAt);
  const word = wordOf(status);
  const record = {
    step: problem ? word : isFirst ? "snapshot" : "refreshed",
    revision: Number(revision),
    status: word,
    expires_at: expiresAt?.toISOString() ?? null,
    ...(problem ? { reason: problem.reason } : {}),
  };
  if (!token || problem) {
    return {
      record,
      headline: `${word[0]?.toUpperCase()}${word.slice(1)}: ${token ? "there is trouble" : "the token is gone"}`,
      why: [
        ...(problem ? [problem.message] : []),
        "The agent learns it from the stream, at once. A new consent brings the same connection back.",
      ],
    };
  }
  const refreshAt = token.refreshNotBefore && timestampDate(token.refreshNotBefore);
  const next = `The next one is due in ${secondsUntil(refreshAt)} s, before this one ends.`;
  const title = `token rev ${revision}, expires in ${secondsUntil(expiresAt)} s`;
  if (isFirst) {
    return {
      record,
      headline: `Snapshot: ${title}`,
      why: [
        "The agent opened one stream, which begins with what is true now. The provider accepts the token.",
        next,
      ],
      byHand: `${nexusd} watch ${namePath(state)}`,
    };
  }
  return {
    record,
    headline: `Refreshed: ${title}`,
    why: [
      "Nobody asked for it. It was safe on disk before the agent saw it, and the provider accepts it.",
      next,
    ],
  };
}

export function grantsRevoked(): Scene {
  return {
    record: { step: "grants_revoked" },
    headline: "The consent was taken back, as a person does in the provider's console",
    why: ["Providers do not tell: the daemon will learn it at the next refresh."],
  };
}

export function drain(): Scene {
  return {
    record: { step: "drain" },
    headline: "The daemon was asked to end and said goodbye on the stream",
    why: ["An agent then knows that it is no failure, and when to come back."],
  };
}

export function done(revisions: number, attention: boolean, seconds: number): Scene {
  return {
    record: { step: "done", revisions, attention, seconds },
    headline: `Done, in ${seconds} s`,
    why: [
      "The daemon ended in good order and its temporary folder is gone. Next: a real provider, see README.md.",
    ],
  };
}

/** @param missing what has not been seen yet */
export function failed(reason: string, missing: string | undefined): Scene {
  return {
    record: { step: "failed", reason, missing: missing ?? null },
    headline: `The demo ends here: ${reason}`,
    why: missing === undefined ? [] : [`Not seen: ${missing}.`],
  };
}

/** `active`, `attention` and so on. */
export function wordOf(status: ConnectionStatus): string {
  return ConnectionStatus[status].toLowerCase();
}

function secondsUntil(time: Date | undefined): number {
  return time === undefined ? 0 : Math.round((time.getTime() - Date.now()) / 1000);
}
