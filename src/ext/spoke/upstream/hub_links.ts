import type { Clock } from "../../../runtime/clock.js";
import { HubLink } from "./hub_link.js";
import type { IdentityFiles } from "./identity_files.js";

export interface HubLinksOptions {
  /** Origins; at least one. */
  readonly urls: readonly string[];
  readonly files: IdentityFiles;
  readonly userAgent: string;
  readonly clock: Pick<Clock, "nowMs">;
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
    const { urls } = this.options;
    return urls[this.#index % urls.length] ?? "";
  }

  get count(): number {
    return this.options.urls.length;
  }

  /** The hub that is used. @throws IdentityUnreadable */
  current(): HubLink {
    return this.#link(this.url);
  }

  /** All hubs, the one that is used first. @throws IdentityUnreadable */
  *inTurn(): Generator<HubLink> {
    const { urls } = this.options;
    for (const offset of urls.keys()) yield this.#link(urls[(this.#index + offset) % urls.length] ?? "");
  }

  #link(url: string): HubLink {
    const known = this.#links.get(url);
    if (known) return known;
    const { files, userAgent, clock } = this.options;
    const made = new HubLink(url, files, userAgent, clock);
    this.#links.set(url, made);
    return made;
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
}
