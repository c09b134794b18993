import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Changes } from "../../runtime/changes.js";

/** What is looked at of a view to keep it. */
interface Keepable {
  readonly connection: { readonly id: string };
  readonly token: { readonly credentials: Readonly<Record<string, string>> } | undefined;
}

/** Views kept, and the characters of a credential beyond which it is not kept: some 16 MiB at most. */
const maxViews = 1_024;
const maxCredentialChars = 16_384;

/**
 * Connections whose token was opened lately, tokens in clear, so that an agent that asks again costs no read and no decryption. One is
 * dropped as soon as its connection changes in any way (refresh, revocation, deletion: told by the store when that is durable), all of
 * them when a provider profile changes, and the one that was used longest ago when there are too many.
 */
export class TokenCache<V extends Keepable> {
  readonly #views: BoundedMap<string, V>;

  /** @param limit views at most */
  constructor(
    changes: Changes,
    private readonly limit: number = maxViews,
  ) {
    this.#views = new BoundedMap(limit);
    changes.on("connections", (changed) => {
      for (const { connectionId } of changed) this.#views.delete(connectionId);
    });
    // The profile says how a token is applied.
    changes.on("provider", () => this.#views.clear());
  }

  get size(): number {
    return this.#views.size;
  }

  get hasRoom(): boolean {
    return this.#views.size < this.limit;
  }

  get(connectionId: string): V | undefined {
    return this.#views.get(connectionId);
  }

  put(view: V): void {
    if (view.token === undefined || charsOf(view.token.credentials) > maxCredentialChars) return;
    this.#views.set(view.connection.id, view);
  }
}

function charsOf(credentials: Readonly<Record<string, string>>): number {
  let chars = 0;
  for (const value of Object.values(credentials)) chars += value.length;
  return chars;
}
