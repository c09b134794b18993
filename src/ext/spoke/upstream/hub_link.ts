import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Clock, delay, steady } from "../../../runtime/runtime.js";
import { type IdentityFiles, IdentityUnreadable } from "./identity_files.js";

/** A link that went dead is noticed in fifteen seconds. */
const keepAlive = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000, isHeld: false };

/** The connection to one hub, opened when it is needed. */
export class HubLink {
  readonly transport: Transport;
  readonly #sessions: Http2SessionManager;

  constructor(
    readonly url: string,
    secureContext: SecureContext | undefined,
    random: () => number,
    private readonly clock: Clock,
  ) {
    // One name may stand for many hubs.
    const shuffled: LookupFunction = (host, options, done) =>
      lookup(host, { ...options, all: true }, (error, found) => {
        const ranked = (found ?? [])
          .map((each) => [random(), each] as const)
          .sort(([one], [other]) => one - other);
        done(
          error,
          ranked.map(([, each]) => each),
        );
      });
    const options = { lookup: shuffled, autoSelectFamily: true, ...(secureContext && { secureContext }) };
    this.#sessions = steady(new Http2SessionManager(url, keepAlive, options), keepAlive);
    this.transport = createGrpcTransport({ baseUrl: url, sessionManager: this.#sessions });
  }

  /** Whether there is a connection, or is one within `waitMs`: then a call can be sent. */
  async isReady(waitMs: number): Promise<boolean> {
    const state = this.#sessions.state();
    if (waitMs === 0) return state === "open" || state === "idle";
    const late = delay(this.clock, waitMs).then(() => "error" as const);
    return (await Promise.race([this.#sessions.connect(), late])) !== "error";
  }

  close(): void {
    this.#sessions.abort();
  }
}

export interface HubLinksOptions {
  /** Origins; at least one. */
  readonly urls: readonly string[];
  readonly files: IdentityFiles;
  readonly userAgent: string;
  readonly clock: Clock;
  /** Uniform in [0, 1): spokes begin with different hubs. */
  readonly random: () => number;
}

/** The hubs of a spoke, of which it uses one until that fails. */
export class HubLinks {
  readonly #links = new Map<string, HubLink>();
  #index: number;
  #stamp = "";

  constructor(private readonly options: HubLinksOptions) {
    this.#index = Math.floor(options.random() * options.urls.length);
  }

  /** URL of the hub that is used. */
  get url(): string {
    return this.#urlAt(0);
  }

  get count(): number {
    return this.options.urls.length;
  }

  /** What each request shows. @throws IdentityUnreadable */
  headers(): Record<string, string> {
    const { files, userAgent } = this.options;
    const token = files.token();
    return { "user-agent": userAgent, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  }

  /** The hub that is used. @throws IdentityUnreadable */
  current(): HubLink {
    return this.#link(this.url);
  }

  /** All hubs, the one that is used first. @throws IdentityUnreadable */
  *inTurn(): Generator<HubLink> {
    for (const offset of this.options.urls.keys()) yield this.#link(this.#urlAt(offset));
  }

  /** Uses the next one. */
  next(): void {
    this.#index++;
  }

  /** Makes new connections where the files hold another identity than before. @throws IdentityUnreadable */
  renew(): void {
    const stamp = this.options.files.stamp();
    if (stamp === this.#stamp) return;
    this.close();
    this.#stamp = stamp;
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #urlAt(offset: number): string {
    const { urls } = this.options;
    return urls[(this.#index + offset) % urls.length] ?? "";
  }

  #link(url: string): HubLink {
    const { files, random, clock } = this.options;
    const secureContext = url.startsWith("https:") ? secureContextOf(files) : undefined;
    const link = this.#links.get(url) ?? new HubLink(url, secureContext, random, clock);
    this.#links.set(url, link);
    return link;
  }
}

/** @throws IdentityUnreadable */
function secureContextOf(files: IdentityFiles): SecureContext {
  const material = files.material();
  try {
    return createSecureContext(material);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new IdentityUnreadable(
      `NEXUS_UPSTREAM_CA_FILE, or NEXUS_UPSTREAM_CERT_FILE with NEXUS_UPSTREAM_KEY_FILE, is no PEM that TLS can use (${code})`,
    );
  }
}
