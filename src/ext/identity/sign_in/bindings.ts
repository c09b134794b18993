import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { isJsonObject, parseJsonObject } from "../../../model/model.js";
import { BoundedMap, type Clock } from "../../../runtime/runtime.js";

/** A person who has to find a password and a second factor. */
export const bindingLifeMs = 600_000;
/** Of bindings that came back within their life: each has cost a browser two requests. */
const maxUsed = 50_000;

/** A sign-in under way, as the browser that began it proves it. */
export interface Binding {
  readonly client: string;
  readonly returnTo: string;
  /** `state`, `nonce`, and the code verifier of PKCE, 43 characters each. Nobody who sees one of them learns another. */
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/**
 * Makes and reads what ties a response to a browser. All of it is in the browser's cookie, sealed against changes, so that strangers who begin
 * sign-ins cost no memory. The secrets follow from a random text in it and a key of this process, which no cookie holds.
 */
export class Bindings {
  readonly #key = randomBytes(32);
  /** Those that came back, by their random text. */
  readonly #used = new BoundedMap<string, true>(maxUsed);

  constructor(private readonly clock: Pick<Clock, "nowMs">) {}

  make(client: string, returnTo: string): { readonly cookie: string; readonly binding: Binding } {
    const random = randomBytes(32).toString("base64url");
    const payload = JSON.stringify({ random, client, returnTo, madeAtMs: this.clock.nowMs() });
    const text = Buffer.from(payload).toString("base64url");
    const cookie = `${text}.${this.#mac("cookie", text)}`;
    return { cookie, binding: this.#bindingOf(random, client, returnTo) };
  }

  /** Undefined for a binding that this process did not make, that is older than its life, or that was taken before. */
  take(cookie: string): Binding | undefined {
    const [text = "", mac = "", ...rest] = cookie.split(".");
    if (rest.length > 0 || !isSame(mac, this.#mac("cookie", text))) return undefined;
    const made = parseJsonObject(Buffer.from(text, "base64url").toString("utf8"));
    if (!isJsonObject(made as never)) return undefined;
    const { random, client, returnTo, madeAtMs } = made as Record<string, never>;
    const ageMs = this.clock.nowMs() - Number(madeAtMs);
    if (ageMs < 0 || ageMs >= bindingLifeMs || this.#used.get(String(random))) return undefined;
    this.#used.set(String(random), true);
    return this.#bindingOf(String(random), String(client), String(returnTo));
  }

  #bindingOf(random: string, client: string, returnTo: string): Binding {
    const secret = (use: string) => this.#mac(use, random);
    return {
      client,
      returnTo,
      state: secret("state"),
      nonce: secret("nonce"),
      codeVerifier: secret("verifier"),
    };
  }

  #mac(use: string, text: string): string {
    return createHmac("sha256", this.#key).update(`${use}\n${text}`).digest("base64url");
  }
}

function isSame(presented: string, expected: string): boolean {
  const [one, other] = [Buffer.from(presented), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
