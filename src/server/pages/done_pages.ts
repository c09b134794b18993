import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Answer } from "../listen/http_listener.js";
import { donePage } from "./pages.js";

export const donePath = "/auth/done";

/**
 * The page after a consent that no application waits for. It has an address of its own, which holds no code and can be loaded again.
 * The name of the provider stands there with a mark of this process: nobody else can make the page say something.
 */
export class DonePages {
  readonly #key = randomBytes(32);

  /** Where the browser is sent. */
  location(providerName: string): string {
    const query = new URLSearchParams({ provider: providerName, mark: this.#mark(providerName) });
    return `${donePath}?${query}`;
  }

  page(query: URLSearchParams): Answer {
    const provider = query.get("provider") ?? "";
    const mark = Buffer.from(query.get("mark") ?? "");
    const own = Buffer.from(this.#mark(provider));
    return donePage(mark.length === own.length && timingSafeEqual(mark, own) ? provider : undefined);
  }

  #mark(providerName: string): string {
    return createHmac("sha256", this.#key).update(providerName).digest("base64url");
  }
}
