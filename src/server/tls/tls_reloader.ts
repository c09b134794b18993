import type { Server as TlsServer } from "node:tls";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import { digestOf, readMaterial, stampOf, type TlsPaths } from "./tls_files.js";
import { readPair, TlsError, type TlsPair } from "./tls_pair.js";

export interface TlsReloaderOptions extends TlsPaths {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * How often the files are looked at. That takes three system calls, and works without watching a folder, whatever replaces the files and
 * whichever file system they are on.
 */
export const lookEveryMs = 1_000;

/** The certificate of the listeners, renewed from its files while they are open. */
export class TlsReloader {
  readonly #options: TlsReloaderOptions;
  readonly #servers = new Set<TlsServer>();
  #pair: TlsPair;
  #stamp: string;
  #digest: string;
  /** The error that was met at the last look; it is reported only when the next look meets it still, for a pair is replaced file by file. */
  #violation: string | undefined;
  #reported: string | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  private constructor(options: TlsReloaderOptions, pair: TlsPair, stamp: string, digest: string) {
    this.#options = options;
    this.#pair = pair;
    this.#stamp = stamp;
    this.#digest = digest;
  }

  /** Reads the files. A certificate that has expired is used anyway: the daemon has more to do than to answer TCP. @throws TlsError */
  static async load(options: TlsReloaderOptions): Promise<TlsReloader> {
    const stamp = await stampOf(options);
    const material = await readMaterial(options);
    const pair = readPair(material);
    const keeper = new TlsReloader(options, pair, stamp, digestOf(material));
    if (pair.notAfterMs <= options.clock.nowMs()) {
      options.log.error(keeper.#fields(), "the TLS certificate has expired: clients will refuse it");
    } else options.log.info(keeper.#fields(), "listeners speak TLS with this certificate");
    keeper.#lookLater();
    return keeper;
  }

  /** The certificate that new connections get. */
  get pair(): TlsPair {
    return this.#pair;
  }

  /** From now on the server gets each new certificate. What is connected goes on with the one it had. */
  renew(server: TlsServer): void {
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimer(lookEveryMs, () => {
      void this.#look().finally(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    const stamp = await stampOf(this.#options);
    if (stamp === this.#stamp && this.#violation === undefined) return;
    try {
      const material = await readMaterial(this.#options);
      const digest = digestOf(material);
      if (digest !== this.#digest) this.#take(readPair(material), digest);
      this.#violation = undefined;
      this.#reported = undefined;
    } catch (error) {
      this.#note(error);
    }
    this.#stamp = stamp;
  }

  /** @throws TlsError when it has expired, and what is in use has not */
  #take(pair: TlsPair, digest: string): void {
    if (this.#stopped) return;
    const nowMs = this.#options.clock.nowMs();
    if (pair.notAfterMs <= nowMs && this.#pair.notAfterMs > nowMs)
      throw new TlsError("the new certificate has expired");
    for (const server of this.#servers) server.setSecureContext(pair.context);
    this.#pair = pair;
    this.#digest = digest;
    this.#options.log.info(this.#fields(), "new connections get a new TLS certificate");
  }

  #note(error: unknown): void {
    const violation = error instanceof TlsError ? error.message : String(error);
    if (this.#violation === violation && this.#reported !== violation) {
      const { certFile, keyFile } = this.#options;
      this.#reported = violation;
      this.#options.log.error(
        { certFile, keyFile, reason: violation },
        "the new TLS certificate is not used, the old one stays",
      );
    }
    this.#violation = violation;
  }

  #fields(): object {
    const { subject, fingerprint256, notAfterMs } = this.#pair;
    return {
      certFile: this.#options.certFile,
      subject,
      fingerprint256,
      notAfter: new Date(notAfterMs).toISOString(),
    };
  }
}
