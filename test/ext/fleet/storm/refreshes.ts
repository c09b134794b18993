import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type SystemClock, setDeadline } from "../../../../src/runtime/clock.js";
import type { Change, Commits, Replica } from "./replica.js";

/** An answer that is not durable yet. */
export interface Held {
  readonly grant: string;
  readonly attempt: string;
  readonly revision: number;
  readonly token: string;
}

export interface RefreshOptions {
  readonly owner: string;
  readonly providerPort: number;
  readonly clock: SystemClock;
  readonly timeoutMs: number;
  /** For how long an attempt of another process is left alone. */
  readonly patienceMs: number;
  readonly isSafeToSend: () => boolean;
  /** A commit was refused. */
  readonly onDeposed: (error: unknown) => void;
}

export type Answer = { readonly status: number; readonly token: string } | "not sent" | "unknown";

/** Refreshes all grants without a pause, as a leader. */
export class Refreshes {
  readonly held = new Map<string, Held>();
  #isEnding = false;
  #loops: Promise<void>[] = [];

  constructor(
    private readonly replica: Replica,
    private readonly commits: Commits,
    private readonly options: RefreshOptions,
  ) {}

  start(): void {
    const beganMs = this.options.clock.monotonicMs();
    this.#loops = [...this.replica.grants.keys()].map((grant) =>
      this.#loop(grant, beganMs).catch((error: unknown) => this.options.onDeposed(error)),
    );
  }

  /** Begins nothing more, and waits for what is under way. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#loops);
  }

  /** Takes what a former leader brings. */
  async drainOutbox(items: readonly Held[]): Promise<void> {
    for (const item of items) {
      await this.commits.commit((read) => {
        const record = read(item.grant);
        if (record?.attempt?.id !== item.attempt || record.revision !== item.revision) return [];
        return [taken(item, "brought home")];
      });
    }
  }

  async #loop(grant: string, beganMs: number): Promise<void> {
    const { owner, patienceMs, clock } = this.options;
    while (!this.#isEnding) {
      const record = this.replica.grants.get(grant);
      const isForeign = record?.attempt !== undefined && record.attempt.owner !== owner;
      if (!record || (isForeign && clock.monotonicMs() - beganMs < patienceMs)) {
        await sleep(100);
        continue;
      }
      await this.#refresh(grant);
      await sleep(20 + Math.random() * 150);
    }
  }

  async #refresh(grant: string): Promise<void> {
    const { owner } = this.options;
    const attempt = randomUUID();
    const [intent] = await this.commits.commit((read) => {
      const record = read(grant);
      if (!record) return [];
      return [{ grant, record: { ...record, attempt: { id: attempt, owner } }, event: `intent ${attempt}` }];
    });
    if (!intent) return;
    const { revision, token } = intent.record;
    const answer = await this.#send("/token", { grant, token, attempt, owner });
    if (answer === "not sent" || answer === "unknown") {
      await this.commits.commit(() => [
        { grant, record: { revision, token }, event: `${answer} ${attempt}` },
      ]);
      // What was sent may still arrive.
      if (answer === "unknown") await sleep(3_000);
      return;
    }
    if (answer.status === 200) {
      const item = { grant, attempt, revision, token: answer.token };
      this.held.set(attempt, item);
      await this.commits.commit(() => [taken(item, "refreshed")]);
      this.held.delete(attempt);
      return;
    }
    const consent = await this.#send("/consent", { grant, token, attempt, owner });
    if (typeof consent === "object" && consent.status === 200) {
      await this.commits.commit(() => [
        taken({ grant, attempt, revision, token: consent.token }, "consented"),
      ]);
    }
  }

  /** The send rule: after the socket is open, before the first byte. */
  #send(path: string, body: object): Promise<Answer> {
    const { clock, timeoutMs, providerPort, isSafeToSend } = this.options;
    return new Promise((resolve) => {
      let isSent = false;
      let text = "";
      const socket = connect(providerPort, "127.0.0.1");
      const finish = (): void => {
        timer.cancel();
        socket.destroy();
        resolve(answerOf(text) ?? (isSent ? "unknown" : "not sent"));
      };
      const timer = setDeadline(clock, timeoutMs, finish);
      socket.on("connect", () => {
        if (!isSafeToSend()) return finish();
        isSent = true;
        const bytes = JSON.stringify(body);
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: provider\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n\r\n${bytes}`,
        );
      });
      socket.on("data", (piece) => {
        text += piece.toString();
        if (answerOf(text) !== undefined) finish();
      });
      socket.on("error", finish);
      socket.on("close", finish);
    });
  }
}

function taken({ grant, attempt, revision, token }: Held, how: string): Change {
  return { grant, record: { revision: revision + 1, token }, event: `${how} ${attempt}` };
}

/** Undefined until it is whole. */
function answerOf(text: string): Exclude<Answer, string> | undefined {
  const [head = "", body] = text.split("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  if (body === undefined || body.length < length) return undefined;
  const { token = "" } = JSON.parse(body) as { token?: string };
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), token };
}
