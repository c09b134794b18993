import { createHash, randomBytes } from "node:crypto";
import type {
  ConnectionRequest,
  FollowOutcome,
  PendingLink,
  RequestedConnection,
} from "../../domain/consent/consent.js";
import { daemon } from "../../model/access/access.js";
import type { Connection } from "../../model/connections/connections.js";
import { DataLoss, NexusError } from "../../model/model.js";
import type { Clock, Log } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import type { NotificationType, NotifiedEvent } from "./outbox/notification.js";
import { type ConsentLink, plannedIn, plansOf } from "./outbox/notification_plans.js";

/** A person who is away for a week finds a link that works. */
const lifetimeMs = 7 * 24 * 60 * 60_000;
/** Seconds of the Unix epoch, so that the end of a code is found without a record of it. */
const endBytes = 4;
const randomCodeBytes = 16;
const codePattern = /^[\w-]{27}$/;

interface Requests {
  request(request: ConnectionRequest, principal: typeof daemon): Promise<RequestedConnection>;
  pendingLink(
    connection: Connection,
    scopes: readonly string[],
    asker: typeof daemon,
  ): PendingLink | undefined;
}

/**
 * The links that notifications carry: each leads a person to the consent of one connection, until a consent has ended what the
 * notification reports. Opening one stores nothing but a request for consent, so that a mail program which opens links first does no harm.
 */
export class ConsentLinks {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly requests: Requests;
      /** Without a trailing slash. */
      readonly publicUrl: string;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** A new link; undefined when a person has nothing to do. */
  async make({ type, connectionId }: NotifiedEvent): Promise<string | undefined> {
    const stored = connectionId && this.deps.store.getConnection(connectionId);
    // Of most events there is nothing to consent to, and so nothing to store.
    if (!connectionId || !stored || occasionOf(type, stored) === undefined) return undefined;
    const nowMs = this.deps.clock.nowMs();
    const endSeconds = Math.floor((nowMs + lifetimeMs) / 1000);
    const bytes = randomBytes(endBytes + randomCodeBytes);
    bytes.writeUInt32BE(endSeconds);
    const code = bytes.toString("base64url");
    const isMade = await this.deps.store.commit((tx) => {
      const connection = tx.getConnection(connectionId);
      const occasion = connection && occasionOf(type, connection);
      if (occasion === undefined) return false;
      const link = { connectionId, type, occasion };
      plansOf(tx).putConsentLink(link, endSeconds * 1000, hashOf(code), nowMs);
      return true;
    });
    return isMade ? `${this.deps.publicUrl}/c/${code}` : undefined;
  }

  /** Idempotent: opened again, it leads to the same consent. */
  async follow(code: string): Promise<FollowOutcome> {
    if (!codePattern.test(code)) return { kind: "unknown_request" };
    const expiresAtMs = Buffer.from(code, "base64url").readUInt32BE() * 1000;
    const link = plannedIn(this.deps.store).consentLink(expiresAtMs, hashOf(code));
    if (!link) return { kind: "unknown_request" };
    if (this.deps.clock.nowMs() >= expiresAtMs) return { kind: "expired" };
    const connection = this.#connectionOf(link);
    if (!connection) return { kind: "unknown_request" };
    return await this.#consent(connection);
  }

  #connectionOf({ connectionId, type, occasion }: ConsentLink): Connection | undefined {
    const connection = this.deps.store.getConnection(connectionId);
    return connection && occasionOf(type, connection) === occasion ? connection : undefined;
  }

  async #consent(connection: Connection): Promise<FollowOutcome> {
    const { store, requests, clock, log } = this.deps;
    const { id: connectionId, consentedScopes: scopes, pendingStateHash } = connection;
    const pending = pendingStateHash === undefined ? undefined : store.getAuthorization(pendingStateHash);
    // The person has consented: a new request would end what waits for its confirmation.
    if (pending?.held && clock.nowMs() < pending.expiresAtMs) return { kind: "unknown_request" };
    const found = requests.pendingLink(connection, scopes, daemon);
    // A device authorization has no page of ours: its request is replaced.
    if (found && !found.device) return { kind: "consent", authUrl: found.authUrl };
    const again = { userId: "", provider: undefined, scopes, returnUrl: undefined, connectionId };
    try {
      const { authUrl } = await requests.request(again, daemon);
      return { kind: "consent", authUrl };
    } catch (error) {
      if (!(error instanceof NexusError) && !(error instanceof DataLoss)) throw error;
      log.warn({ connectionId, err: error }, "the link of a notification leads nowhere");
      const isOver = error instanceof NexusError && error.kind === "unavailable";
      return { kind: isOver ? "provider_unreachable" : "provider_misconfigured" };
    }
  }
}

function hashOf(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}

/**
 * What a notification reports, as far as it goes on: another consent ends it, and so its links.
 *
 * @returns undefined when a person has nothing to do
 */
export function occasionOf(type: NotificationType, connection: Connection): string | undefined {
  const { status, problem, refreshExpiresAtMs, credentialRevision } = connection;
  switch (type) {
    case "connection.attention":
      return status === "attention" && problem ? `${problem.sinceMs}` : undefined;
    case "connection.expiring":
      return status === "active" && refreshExpiresAtMs !== undefined ? `${refreshExpiresAtMs}` : undefined;
    case "connection.unrefreshable":
      return isEnding(connection) ? `${credentialRevision}` : undefined;
    default:
      return undefined;
  }
}

/** Its token ends, and nothing can get another. */
export function isEnding({ status, refreshable, expiresAtMs }: Connection): boolean {
  return status === "active" && !refreshable && expiresAtMs !== undefined;
}
