import { setTimeout as sleep } from "node:timers/promises";
import { DriverError, DriverProcess } from "./driver_process.js";
import type { ClientLibrary } from "./manifests.js";
import type { ClientWorld } from "./world.js";

/** A row of the table: what every library is held to. */
export interface Case {
  readonly name: string;
  /** @throws Error that says what was wrong */
  play(scene: Scene): Promise<void>;
}

/** One case with the library of one language: drivers that are started for it, and end with it. */
export class Scene {
  readonly #drivers: DriverProcess[] = [];

  constructor(
    readonly world: ClientWorld,
    readonly library: ClientLibrary,
  ) {}

  /** The environment of a driver, without any `NEXUS_` of this process and with a home that has no daemon. */
  environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    const { PATH, LANG, TMPDIR } = process.env;
    return { PATH, LANG, TMPDIR, HOME: this.world.place.config.dataDir, ...more };
  }

  /** A driver with an open client; over the Unix socket unless told otherwise. */
  async open(options: object = {}, environment: NodeJS.ProcessEnv = {}): Promise<DriverProcess> {
    const driver = new DriverProcess(this.library, this.environment(environment));
    this.#drivers.push(driver);
    const isTold = "address" in options || Object.keys(environment).length > 0;
    await driver.call("open", {
      options: isTold ? options : { address: this.world.unixAddress, ...options },
    });
    return driver;
  }

  /** What the drivers wrote to standard error. */
  get errors(): string {
    return this.#drivers.map(({ errors }) => errors.trim()).join("\n");
  }

  async close(): Promise<void> {
    for (const driver of this.#drivers) driver.signal("SIGKILL");
    await Promise.all(this.#drivers.map(({ exited }) => exited));
  }
}

/** @throws Error unless it is so */
export function must(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(what);
}

/** @throws Error unless both are the same */
export function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}: ${one} instead of ${other}`);
}

/** The error that a call of a driver answers. @throws Error unless it is of that type */
export async function refused(call: Promise<unknown>, type: string): Promise<DriverError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof DriverError && error.type === type) return error;
    throw error;
  }
  throw new Error(`it answered a result instead of the error ${type}`);
}

/** Asks again and again. @returns the first answer that is not undefined */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, maxSeconds = 40): Promise<T> {
  const endsMs = Date.now() + maxSeconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > endsMs) throw new Error(`not within ${maxSeconds} s: ${what}`);
    await sleep(50);
  }
}

/** Waits until the driver's `token` has this revision, and sees to it that the newest token of the provider is in it. */
export async function sees(
  driver: DriverProcess,
  provider: string,
  revision: number,
  user = "ada",
): Promise<void> {
  let last = 0;
  await until(`revision ${revision} of ${provider}/${user}`, async () => {
    last = (await driver.token(provider, user)).revision;
    return last === revision ? true : undefined;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; the last was ${last}`);
  });
}

/** Plays while nobody may call `AcquireToken`. */
export async function withoutCalls(world: ClientWorld, play: () => Promise<void>): Promise<void> {
  const before = await world.rpcs("AcquireToken");
  await play();
  same("calls of AcquireToken meanwhile", (await world.rpcs("AcquireToken")) - before, 0);
}
