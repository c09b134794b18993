import { hash, randomBytes } from "node:crypto";
import { type AuditEventType, at, by, type Principal } from "../../../model/access/access.js";
import { ResourceExhausted } from "../../../model/model.js";
import { BoundedMap, type Changes, type Clock, Secret } from "../../../runtime/runtime.js";
import type { Store } from "../../../store/store.js";

/** A person who asked for a link is at the keyboard. */
const linkLifeMs = 60_000;
/** A working day. */
const sessionLifeMs = 8 * 3_600_000;
/** Of one principal, of links and of sessions: a person has a few browsers. */
const maxOfPrincipal = 20;
/** Each is in the audit log, which a caller must not fill. */
const maxLinksPerMinute = 100;
const minuteMs = 60_000;
/** Of all principals together, some 300 bytes each. */
const maxOfAll = 5_000;

interface EndingSession {
  /** The digest of its code or token. */
  readonly id: string;
  readonly principal: Principal;
  readonly expiresAtMs: number;
}

/** A browser that is signed in. */
export type ConsoleSession = EndingSession;

interface OpenedSession {
  readonly token: Secret;
  readonly session: ConsoleSession;
}

export interface ConsoleSessionsDeps {
  readonly store: Pick<Store, "record">;
  readonly changes: Changes;
  readonly clock: Clock;
}

/**
 * Who is signed in to the console. Links and sessions live in memory alone, so that the end of the daemon ends them, and their tokens are
 * kept as digests: what is held here signs nobody in.
 */
export class ConsoleSessions {
  readonly #links = new BoundedMap<string, EndingSession>(maxOfAll);
  /** By name of the principal: links of the minute that began then. */
  readonly #minutes = new BoundedMap<string, { readonly startMs: number; count: number }>(maxOfAll);
  readonly #sessions = new BoundedMap<string, ConsoleSession>(maxOfAll);
  /** Sessions by the links that opened them, until those end. */
  readonly #used = new BoundedMap<string, ConsoleSession>(maxOfAll);

  constructor(private readonly deps: ConsoleSessionsDeps) {
    deps.changes.on("principalEnded", (name) => {
      for (const map of [this.#links, this.#sessions])
        for (const { id } of entriesOf(map, name)) map.delete(id);
    });
  }

  /** Makes the code of a link. It is on record before it is answered. @throws ResourceExhausted */
  async createLink(principal: Principal): Promise<{ readonly code: Secret; readonly expiresAtMs: number }> {
    this.#refuseMore(principal);
    const expiresAtMs = this.#endOf(principal, linkLifeMs);
    const code = randomBytes(32).toString("base64url");
    const link = { id: digestOf(code), principal, expiresAtMs };
    await this.#add(this.#links, link, "console.link_created", principal);
    return { code: new Secret(code), expiresAtMs };
  }

  /**
   * Takes the code of a link, which is of no use from then on, for a session. A code that comes again was seen by two: the session that it
   * opened ends, unless it is `present`.
   *
   * @param origin address of the browser's socket
   * @param present session of the browser
   * @returns the token of the session; undefined when the link was used, has expired or never was, and when its principal ended meanwhile
   */
  async open(
    code: string,
    origin: string | undefined,
    present?: ConsoleSession,
  ): Promise<OpenedSession | undefined> {
    const key = digestOf(code);
    const link = this.#links.get(key);
    // Before anything is waited for: two visits at once share one link.
    this.#links.delete(key);
    const nowMs = this.deps.clock.nowMs();
    if (!link) return await this.#usedAgain(key, nowMs, origin, present);
    if (nowMs >= link.expiresAtMs) return undefined;
    const opened = await this.#openUntil(this.#endOf(link.principal, sessionLifeMs), link.principal, origin);
    if (opened) this.#used.set(key, { ...opened.session, expiresAtMs: link.expiresAtMs });
    return opened;
  }

  /**
   * For a person for whom an issuer vouched, until the end of the principal.
   *
   * @param issuer its URL, for the audit log
   * @returns as `open`
   */
  openFor(
    principal: Principal & { readonly expiresAtMs: number },
    issuer: string,
    origin: string | undefined,
  ): Promise<OpenedSession | undefined> {
    return this.#openUntil(principal.expiresAtMs, principal, origin, issuer);
  }

  async #openUntil(
    expiresAtMs: number,
    principal: Principal,
    origin: string | undefined,
    issuer?: string,
  ): Promise<OpenedSession | undefined> {
    const token = randomBytes(32).toString("base64url");
    const session = { id: digestOf(token), principal, expiresAtMs };
    await this.#add(this.#sessions, session, "console.session_opened", at(principal, origin), issuer);
    return this.#sessions.get(session.id) && { token: new Secret(token), session };
  }

  /** Once it is on record; the oldest of a principal that has as many as it may makes room. */
  async #add(
    map: BoundedMap<string, EndingSession>,
    entry: EndingSession,
    type: AuditEventType,
    who: Principal,
    reason?: string,
  ): Promise<void> {
    const own = entriesOf(map, who.name);
    const [oldest] = own;
    if (oldest && own.length >= maxOfPrincipal) map.delete(oldest.id);
    // Before anything is waited for: it ends with its principal meanwhile.
    map.set(entry.id, entry);
    await this.#record(type, who, reason).catch((error: unknown) => {
      map.delete(entry.id);
      throw error;
    });
  }

  async #usedAgain(
    key: string,
    nowMs: number,
    origin: string | undefined,
    present: ConsoleSession | undefined,
  ): Promise<undefined> {
    const used = this.#used.get(key);
    if (!used || used.id === present?.id) return;
    this.#used.delete(key);
    if (nowMs < used.expiresAtMs) await this.end(used, origin);
  }

  /** The session of a browser; undefined when it has ended. */
  find(token: string): ConsoleSession | undefined {
    const session = this.#sessions.get(digestOf(token));
    if (!session || this.deps.clock.nowMs() < session.expiresAtMs) return session;
    this.#sessions.delete(session.id);
    return undefined;
  }

  /** At once, and then it is recorded. @param origin address of the browser's socket */
  async end({ id, principal }: ConsoleSession, origin: string | undefined): Promise<void> {
    if (!this.#sessions.get(id)) return;
    this.#sessions.delete(id);
    await this.#record("console.session_ended", at(principal, origin));
  }

  #refuseMore({ name }: Principal): void {
    const nowMs = this.deps.clock.monotonicMs();
    const minute = this.#minutes.get(name);
    if (!minute || nowMs - minute.startMs >= minuteMs) {
      this.#minutes.set(name, { startMs: nowMs, count: 1 });
    } else if (minute.count < maxLinksPerMinute) {
      minute.count++;
    } else {
      const retryAfterMs = Math.ceil(minute.startMs + minuteMs - nowMs);
      const limit = { limit: maxLinksPerMinute, unit: "per minute", retryAfterMs };
      throw new ResourceExhausted("RATE_LIMITED", { what: "links to the console of this caller", ...limit });
    }
  }

  #endOf({ expiresAtMs = Number.POSITIVE_INFINITY }: Principal, lifeMs: number): number {
    return Math.min(expiresAtMs, this.deps.clock.nowMs() + lifeMs);
  }

  async #record(type: AuditEventType, principal: Principal, reason?: string): Promise<void> {
    const timeMs = this.deps.clock.nowMs();
    await this.deps.store.record((tx) => tx.appendAudit({ timeMs, type, ...by(principal), reason }));
  }
}

/** Those of one principal; the first is the one used longest ago. */
function entriesOf(map: BoundedMap<string, EndingSession>, name: string): EndingSession[] {
  return [...map.values()].filter(({ principal }) => principal.name === name);
}

/** SHA-256 suffices: a token is 256 random bits, which nobody guesses. */
function digestOf(token: string): string {
  return hash("sha256", token, "hex");
}
