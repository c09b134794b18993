import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Clients } from "../../../daemon/harness.js";

const eachMs = 250;
/** An agent does not wait longer for a token that lives. */
const limitMs = 10_000;

/** Agents that ask for tokens without a pause, each at a daemon of its own, and notice what is not as it should be. */
export class Agents {
  /** What an agent noticed: its daemon, and what it got. */
  readonly noticed: string[] = [];
  reads = 0;
  #isOver = false;
  readonly #running: Promise<void>[] = [];

  /** One more, at the daemon of that name, which asks for one connection after the other. */
  begin(daemon: string, clients: Pick<Clients, "tokens">, connectionIds: readonly string[]): void {
    this.#running.push(this.#run(daemon, clients, connectionIds));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #run(daemon: string, { tokens }: Pick<Clients, "tokens">, ids: readonly string[]): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const connectionId = ids[turn % ids.length] ?? "";
      try {
        const { token } = await tokens.getToken({ connectionId }, { timeoutMs: limitMs });
        this.reads++;
        const endsMs = token?.expiresAt && timestampMs(token.expiresAt);
        if (endsMs === undefined) this.noticed.push(`${daemon}: no token`);
        else if (endsMs <= Date.now()) this.noticed.push(`${daemon}: a token that had ended`);
      } catch (error) {
        this.noticed.push(`${daemon}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(eachMs);
    }
  }
}
