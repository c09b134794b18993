import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CrowdAnswer, CrowdQuestion, CrowdReport, CrowdSettings } from "./crowd_process.js";

/** A crowd that is not there by then meets a limit of the machine: of descriptors, for one (`ulimit -n`). */
const patienceMs = 180_000;

/** Thousands of spokes as their hubs see them, in a process of their own. */
export class Crowd {
  #lastId = 0;

  private constructor(private readonly child: ChildProcess) {}

  static begin(settings: CrowdSettings): Crowd {
    const child = fork(join(import.meta.dirname, "crowd_process.ts"), [], { execArgv: ["--import", "tsx"] });
    child.setMaxListeners(50);
    const crowd = new Crowd(child);
    crowd.#send({ kind: "begin", settings });
    return crowd;
  }

  /** Resolves once all have had a bookmark on their present streams, with the time of the last one, by `process.hrtime`. */
  whole(): Promise<bigint> {
    const id = ++this.#lastId;
    this.#send({ kind: "whole", id });
    return this.#at("whole", id);
  }

  /** Waits until all hold the revision of the connection. @returns when it is armed: then the promise of the last receipt, by `process.hrtime` */
  async awaiting(connectionId: string, revision: bigint): Promise<{ readonly last: Promise<bigint> }> {
    const id = ++this.#lastId;
    const armed = this.#at("armed", id);
    const last = this.#at("revision", id);
    last.catch(() => undefined);
    this.#send({ kind: "revision", id, connectionId, revision: Number(revision) });
    await armed;
    return { last };
  }

  /** All leave their hubs and go to these. */
  move(ports: readonly number[]): void {
    this.#send({ kind: "move", ports });
  }

  async report(): Promise<CrowdReport> {
    const id = ++this.#lastId;
    this.#send({ kind: "report", id });
    const answer = await this.#told((told) => told.kind === "report" && told.id === id);
    if (answer.kind !== "report") throw new Error("no report");
    return answer.report;
  }

  /** Resolves once no more than `count` are whole: the others have noticed that their hub is gone. */
  async cut(count: number): Promise<void> {
    while ((await this.report()).whole > count) await sleep(20);
  }

  async close(): Promise<void> {
    if (!this.child.connected) return;
    this.child.disconnect();
    await once(this.child, "exit");
  }

  async #at(kind: "whole" | "armed" | "revision", id: number): Promise<bigint> {
    const answer = await this.#told((told) => told.kind === kind && told.id === id);
    return "atNs" in answer ? BigInt(answer.atNs) : 0n;
  }

  #send(question: CrowdQuestion): void {
    this.child.send(question);
  }

  #told(isIt: (answer: CrowdAnswer) => boolean): Promise<CrowdAnswer> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error("the crowd of spokes ended"));
      const late = setTimeout(() => {
        reject(new Error("not all spokes were heard of in time"));
      }, patienceMs);
      const onMessage = (answer: CrowdAnswer): void => {
        if (!isIt(answer)) return;
        clearTimeout(late);
        this.child.off("message", onMessage).off("exit", onExit);
        resolve(answer);
      };
      this.child.on("message", onMessage).once("exit", onExit);
    });
  }
}
