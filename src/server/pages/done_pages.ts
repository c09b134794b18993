import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ConsentDone } from "../../domain/consent/consent_types.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Answer } from "../listen/http_listener.js";
import type { DescribeProvider } from "./page_words.js";
import { donePage, type Visited } from "./pages.js";

export const donePath = "/auth/done";

/** People who look at the page, or load it again; who comes later is told the provider alone. */
const maxVisits = 1_000;

/**
 * The page after a consent that no application waits for. It has an address of its own, which holds no code and can be loaded again.
 * The name of the provider stands there with a mark of this process: nobody else can make the page say something. Whose account it is
 * stands in no address, where histories and proxies would keep it.
 */
export class DonePages {
  readonly #key = randomBytes(32);
  readonly #visits = new BoundedMap<string, Visited>(maxVisits);

  constructor(private readonly describe: DescribeProvider) {}

  /** Where the browser is sent. */
  location(done: ConsentDone): string {
    const provider = this.describe(done).displayName;
    const query = new URLSearchParams({ provider, mark: this.#mark(provider) });
    if (done.account) {
      const visit = randomBytes(16).toString("base64url");
      this.#visits.set(visit, { provider, account: done.account, isOther: done.isOther });
      query.set("visit", visit);
    }
    return `${donePath}?${query}`;
  }

  page(query: URLSearchParams): Answer {
    const provider = query.get("provider") ?? "";
    const mark = Buffer.from(query.get("mark") ?? "");
    const own = Buffer.from(this.#mark(provider));
    if (mark.length !== own.length || !timingSafeEqual(mark, own)) return donePage(undefined);
    const done = this.#visits.get(query.get("visit") ?? "");
    return donePage(done?.provider === provider ? done : { provider });
  }

  #mark(provider: string): string {
    return createHmac("sha256", this.#key).update(provider).digest("base64url");
  }
}
