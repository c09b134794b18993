import { setTimeout as delay } from "node:timers/promises";
import type { TestDaemon } from "../../../daemon/harness.js";

/** Reads each held request, and lets through what the user's task needs. */
export class Person {
  #asked = false;

  constructor(private readonly daemon: TestDaemon) {}

  takeAsked(): boolean {
    const asked = this.#asked;
    this.#asked = false;
    return asked;
  }

  /** Decides until `said` resolves. */
  async besides<T>(said: Promise<T>): Promise<T> {
    let isOver = false;
    const over = said.finally(() => {
      isOver = true;
    });
    const { approvals } = this.daemon.clients;
    while (!isOver) {
      for (const { id, digest, headers } of (await approvals.listHeldRequests({})).requests) {
        const approve = headers.some(({ name, value }) => name === "x-origin" && value === "task");
        this.#asked ||= approve;
        await approvals.decideHeldRequest({ id, digest, approve });
      }
      await Promise.race([over, delay(20)]);
    }
    return await over;
  }
}
