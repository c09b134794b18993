import { createHash } from "node:crypto";
import { ConflatingSubscriber, type Subscribers } from "../../domain/reading/reading.js";
import { InvalidArgument } from "../../model/model.js";
import type { Clock, Log, Timer } from "../../runtime/runtime.js";
import { type SecretRequest, SecretRequests } from "./secret_requests.js";
import type { SecretCaller, SecretSource, SecretState } from "./secret_source.js";

export interface SecretAnswer {
  /** The same for the same secrets; says nothing of them. */
  readonly version: string;
  readonly nonce: string;
  readonly secrets: readonly SecretState[];
}

/** Names in one request; Envoy has one for each stream. */
const maxNames = 1_000;
/** What is logged of a proxy's words. */
const maxRefusalLength = 200;

/** Secrets of a proxy by the state-of-the-world protocol of xDS. */
export class SecretStreams {
  constructor(
    private readonly deps: {
      readonly source: SecretSource;
      readonly subscribers: Subscribers;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** Every secret that is named, as it is now. @throws InvalidArgument, Unavailable */
  async fetch(names: readonly string[], caller: SecretCaller): Promise<SecretAnswer> {
    const secrets: SecretState[] = [];
    for (const name of namesOf(names)) {
      const secret = await this.deps.source.read(name, caller);
      if (secret) secrets.push(secret);
    }
    return { version: versionOf(secrets), nonce: "", secrets };
  }

  /**
   * Answers at once with what is named and was not sent before, then whenever one of them is another one. A refused answer is logged
   * and not sent again. Ends soon after `signal` aborts, the requests end, or the daemon drains.
   *
   * @throws InvalidArgument, Unavailable
   */
  async *stream(
    requests: AsyncIterable<SecretRequest>,
    caller: SecretCaller,
    signal: AbortSignal,
  ): AsyncGenerator<SecretAnswer> {
    const sent = new Map<string, SecretState>();
    let names: readonly string[] = [];
    let due = new Set<string>();
    let nonce = 0;
    let subscriber = this.#subscribe(names, caller);
    let timer: Timer | undefined;
    const wake = (): void => subscriber.wake();
    const incoming = new SecretRequests(requests, wake);
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted && !this.deps.subscribers.draining && !incoming.ended) {
        const request = incoming.take();
        if (request) {
          // The proxy has not seen the newest answer yet: it will acknowledge that one too, with all the names it wants then.
          if (nonce > 0 && request.nonce !== String(nonce)) continue;
          if (request.refusal) this.#logRefusal(request.refusal, names, sent);
          names = namesOf(request.names);
          for (const name of sent.keys()) if (!names.includes(name)) sent.delete(name);
          this.deps.subscribers.unsubscribe(subscriber);
          subscriber = this.#subscribe(names, caller);
          due = new Set(names);
        }
        for (let id = subscriber.take(); id !== undefined; id = subscriber.take()) {
          for (const name of names) if (this.#mayBeOf(name, id)) due.add(name);
        }
        const nowMs = this.deps.clock.nowMs();
        for (const { name, expiresAtMs } of sent.values()) {
          if (expiresAtMs !== undefined && expiresAtMs <= nowMs) due.add(name);
        }
        if (due.size === 0) {
          // Nothing was awaited since all of them were looked at: no wake is lost.
          await subscriber.changed();
          continue;
        }
        const changed: SecretState[] = [];
        for (const name of due) {
          const secret = await this.deps.source.read(name, caller, sent.get(name)?.stamp);
          if (secret) changed.push(secret);
        }
        due.clear();
        for (const secret of changed) sent.set(secret.name, secret);
        if (changed.length === 0) continue;
        nonce++;
        timer?.cancel();
        timer = this.#wakeAtExpiry(sent, wake);
        yield { version: versionOf(sent.values()), nonce: String(nonce), secrets: changed };
      }
    } finally {
      timer?.cancel();
      signal.removeEventListener("abort", wake);
      this.deps.subscribers.unsubscribe(subscriber);
    }
  }

  /** Of a name it is not known which connection it is of: that may be what changed. */
  #mayBeOf(secret: string, connectionId: string): boolean {
    const watched = this.deps.source.watched(secret);
    return watched.connectionId === connectionId || watched.name !== undefined;
  }

  #subscribe(names: readonly string[], { view }: SecretCaller): ConflatingSubscriber {
    const watched = names.map((name) => this.deps.source.watched(name));
    const subscriber = new ConflatingSubscriber({
      connectionIds: new Set(watched.flatMap(({ connectionId }) => connectionId ?? [])),
      names: watched.flatMap(({ name }) => name ?? []),
      userId: undefined,
      sees: (change) => view.seesChange(change),
    });
    this.deps.subscribers.subscribe(subscriber);
    return subscriber;
  }

  #wakeAtExpiry(sent: ReadonlyMap<string, SecretState>, wake: () => void): Timer | undefined {
    const times = [...sent.values()].flatMap(({ expiresAtMs }) => expiresAtMs ?? []);
    if (times.length === 0) return undefined;
    return this.deps.clock.setTimer(Math.max(0, Math.min(...times) - this.deps.clock.nowMs()), wake);
  }

  /** Without the proxy's words where they hold a secret. */
  #logRefusal(
    { code, message }: { readonly code: number; readonly message: string },
    names: readonly string[],
    sent: ReadonlyMap<string, SecretState>,
  ): void {
    const quotes = [...sent.values()].some(({ value }) =>
      value.split(" ").some((part) => part !== "" && message.includes(part)),
    );
    const words = quotes ? "(left out: it quotes a secret)" : message.slice(0, maxRefusalLength);
    this.deps.log.warn({ names: names.slice(0, 10), code, words }, "a proxy refused its secrets");
  }
}

/** @throws InvalidArgument */
function namesOf(names: readonly string[]): readonly string[] {
  if (names.length <= maxNames) return [...new Set(names)];
  const description = `has at most ${maxNames} names`;
  throw new InvalidArgument([{ field: "resource_names", description }]);
}

function versionOf(secrets: Iterable<SecretState>): string {
  const stamps = [...secrets].map(({ name, stamp }) => `${name}\n${stamp}\n`).sort();
  return createHash("sha256").update(stamps.join("")).digest("hex").slice(0, 16);
}
