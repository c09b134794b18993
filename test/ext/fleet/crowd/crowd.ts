import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { CrowdAnswer, CrowdQuestion, CrowdReport, CrowdSettings } from "./crowd_process.js";

/** A crowd that is not there by then meets a limit of the machine: of descriptors, for one (`ulimit -n`). */
const limitMs = 900_000;

/** Thousands of spokes as their hubs see them, in a process of their own. */
export class Crowd {
  #lastId = 0;

  private constructor(private readonly child: ChildProcess) {
    child.setMaxListeners(50);
  }

  static begin(settings: CrowdSettings): Crowd {
    const options = { execArgv: ["--import", "tsx"], serialization: "advanced" as const };
    const crowd = new Crowd(fork(join(import.meta.dirname, "crowd_process.ts"), [], options));
    crowd.#send({ id: 0, ask: { kind: "begin", settings } });
    return crowd;
  }

  /** Resolves once all have had a bookmark on their present streams, with the time of the last one, by `nowMs` of `CrowdSpoke`. */
  async whole(): Promise<number> {
    return (await this.#ask({ kind: "whole" })) as number;
  }

  /**
   * Resolves once all hold that revision of the connection, or of each connection that they see, with the time when the last one
   * got it.
   */
  async holds(revision: bigint, connectionId?: string): Promise<number> {
    return (await this.#ask({ kind: "holds", revision, connectionId })) as number;
  }

  async report(): Promise<CrowdReport> {
    return (await this.#ask({ kind: "report" })) as CrowdReport;
  }

  async close(): Promise<void> {
    if (!this.child.connected) return;
    this.child.disconnect();
    await once(this.child, "exit");
  }

  #send(question: CrowdQuestion): void {
    this.child.send(question);
  }

  async #ask(ask: CrowdQuestion["ask"]): Promise<CrowdAnswer["value"]> {
    const id = ++this.#lastId;
    this.#send({ id, ask });
    return await new Promise((resolve, reject) => {
      const onMessage = (answer: CrowdAnswer): void => {
        if (answer.id === id) end(() => resolve(answer.value));
      };
      const onExit = (): void => end(() => reject(new Error("the crowd of spokes ended")));
      const onLate = (): void => end(() => reject(new Error("not all spokes were heard of in time")));
      const late = setTimeout(onLate, limitMs);
      const end = (settle: () => void): void => {
        clearTimeout(late);
        this.child.off("message", onMessage).off("exit", onExit);
        settle();
      };
      this.child.on("message", onMessage).once("exit", onExit);
    });
  }
}
