import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import type { TokenState } from "../../src/gen/nexus/v1/token_pb.js";
import { namePath } from "../../src/model/connections/connection_name.js";
import { nexusd, type Scene } from "./narrator.js";

export function daemonStarted(dataDir: string, publicUrl: string): Scene {
  return {
    record: { step: "daemon_started", data_dir: dataDir, public_url: publicUrl },
    headline: "Started nexusd",
    why: [
      "It uses free ports and a temporary folder. To try the commands below, first run this in this folder, in another terminal:",
      `export NEXUS_DATA_DIR=${dataDir}`,
    ],
    byHand: `${nexusd} status`,
  };
}

export function providerStarted(issuer: string, accessTokenTtlSeconds: number): Scene {
  return {
    record: { step: "provider_started", issuer, access_token_ttl_seconds: accessTokenTtlSeconds },
    headline: "Started an OpenID provider in place of Google",
    why: [
      `Its access tokens last ${accessTokenTtlSeconds} s, so you need not wait an hour. A refresh token works once:`,
      "if it is used again, the provider revokes the consent.",
    ],
  };
}

export function providerRegistered(name: string, issuer: string): Scene {
  return {
    record: { step: "provider_registered", provider: name, issuer },
    headline: `Added the provider "${name}" by discovery`,
    why: ["Its URL is enough: nexusd reads endpoints and keys from the discovery document."],
    byHand: `${nexusd} provider show ${name}`,
  };
}

/** @param authUrl what a person must open; undefined when no person is needed, and then it stays unsaid */
export function connectionRequested(name: string, connectionId: string, authUrl: string | undefined): Scene {
  const scene: Scene = {
    record: { step: "connection_requested", connection_id: connectionId },
    headline: "The agent requested a connection for ada",
    why: ["It received a link for the user. It never sees a password or a refresh token."],
    byHand: `${nexusd} connect ${name}/ada`,
  };
  if (authUrl === undefined) return scene;
  return {
    ...scene,
    record: { ...scene.record, url: authUrl },
    banner: [
      "Open this link in your browser, continue as ada, and select Allow:",
      "",
      authUrl,
      "",
      "(No browser on this machine? Press Ctrl-C, then run: npm run demo -- --auto)",
    ],
  };
}

export function consented(connectionId: string, auto: boolean): Scene {
  return {
    record: { step: "consented", connection_id: connectionId },
    headline: auto ? "The demo consented over HTTP" : "You consented",
    why: ["Once is enough: nexusd stored the tokens encrypted, and keeps them current."],
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
      headline: `${word[0]?.toUpperCase()}${word.slice(1)}: ${token ? "there is a problem" : "the token is gone"}`,
      why: [
        ...(problem ? [problem.message] : []),
        "The stream reports it to the agent at once. A new consent restores the same connection.",
      ],
    };
  }
  const refreshAt = token.refreshNotBefore && timestampDate(token.refreshNotBefore);
  const next = `The next refresh is due in ${secondsUntil(refreshAt)} s, before this token expires.`;
  const title = `token rev ${revision}, expires in ${secondsUntil(expiresAt)} s`;
  if (isFirst) {
    return {
      record,
      headline: `Snapshot: ${title}`,
      why: [
        "The agent opened one stream, which starts with the current state. The provider accepts the token.",
        next,
      ],
      byHand: `${nexusd} watch ${namePath(state)}`,
    };
  }
  return {
    record,
    headline: `Refreshed: ${title}`,
    why: [
      "The agent did not ask. nexusd stored the token before the agent saw it, and the provider accepts it.",
      next,
    ],
  };
}

export function grantsRevoked(): Scene {
  return {
    record: { step: "grants_revoked" },
    headline: "The consent was revoked, as in the settings of a provider account",
    why: ["Providers do not report this: nexusd finds out at the next refresh."],
  };
}

export function drain(): Scene {
  return {
    record: { step: "drain" },
    headline: "The daemon is stopping, and announced it on the stream",
    why: ["The agent knows that this is not a failure, and when to reconnect."],
  };
}

export function done(revisions: number, attention: boolean, seconds: number): Scene {
  return {
    record: { step: "done", revisions, attention, seconds },
    headline: `Done, in ${seconds} s`,
    why: ["The daemon stopped, and its temporary folder is gone. Next, add a real provider: see README.md."],
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
