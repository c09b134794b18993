import type { Daemon } from "../../src/daemon/daemon.js";
import { startFailure } from "../../src/daemon/run_daemon.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { type Clients, Place } from "./harness.js";

/** A daemon at a place, however it runs, which can be started there again. */
export abstract class DaemonAt {
  readonly clients: Clients;
  readonly environment: NodeJS.ProcessEnv;
  readonly opsUrl: string;

  constructor(readonly place: Place) {
    this.clients = place.clients();
    this.environment = place.environment;
    this.opsUrl = place.opsUrl;
  }

  abstract start(): Promise<void>;

  /** Of a hub: where the others call it. */
  get address(): string {
    return this.environment["NEXUS_FLEET_LISTEN"] ?? "";
  }

  /** Of a spoke. */
  async status() {
    return (await this.clients.status.getStatus({})).spoke;
  }
}

/** Starts one at a place of its own. */
export async function started<One extends DaemonAt>(
  Kind: new (place: Place) => One,
  settings: NodeJS.ProcessEnv,
): Promise<One> {
  const daemon = new Kind(await Place.make(settings));
  await daemon.start();
  return daemon;
}

/** The machine's clock, moved ahead by a test: what is due by the time is due at once, and timers take as long as they did. */
class MovedClock extends SystemClock {
  aheadMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.aheadMs;
  }

  override monotonicMs(): number {
    return super.monotonicMs() + this.aheadMs;
  }
}

/** In this process, by the clock of the machine. */
export class LocalDaemon extends DaemonAt {
  readonly clock = new MovedClock();
  #daemon: Daemon | undefined;

  get output(): string {
    return this.place.logLines.join("");
  }

  async start(): Promise<void> {
    this.#daemon = await this.place.start(this.clock);
  }

  /** How it ends that cannot start, and its last word. */
  async refusal() {
    const error = await this.start().catch((thrown: unknown) => thrown);
    return { code: startFailure(error), output: `${this.output}${error}` };
  }

  /** Until the next `start`. */
  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }
}
