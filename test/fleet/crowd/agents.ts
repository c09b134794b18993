import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Clients } from "../../daemon/harness.js";

const eachMs = 250;
/** An agent does not wait longer for a token that lives. */
const patienceMs = 10_000;

/** Agents that ask for tokens without a pause, each at a daemon of its own, and notice what is not as it should be. */
export class Agents {
  /** What an agent noticed: its daemon, and what it got. */
  readonly noticed: string[] = [];
  reads = 0;
  #isOver = false;
  #running: Promise<unknown> = Promise.resolve();

  /** @param daemons by name @param connectionIds of which they use one after the other */
  start(daemons: ReadonlyMap<string, Pick<Clients, "tokens">>, connectionIds: readonly string[]): void {
    this.#running = Promise.all(
      [...daemons].map(async ([name, clients]) => {
        for (let turn = 0; !this.#isOver; turn++) {
          await this.#use(name, clients, connectionIds[turn % connectionIds.length] ?? "");
          await sleep(eachMs);
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #use(name: string, { tokens }: Pick<Clients, "tokens">, connectionId: string): Promise<void> {
    this.reads++;
    try {
      const { token } = await tokens.getToken({ connectionId }, { timeoutMs: patienceMs });
      const endsMs = token?.expiresAt && timestampMs(token.expiresAt);
      if (token === undefined) this.noticed.push(`${name}: no token`);
      else if (endsMs !== undefined && endsMs <= Date.now())
        this.noticed.push(`${name}: a token that had ended`);
    } catch (error) {
      this.noticed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
