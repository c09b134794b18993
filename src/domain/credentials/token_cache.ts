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
  readonly #views = new Map<string, V>();
  readonly #maxViews: number;

  constructor(most: number = maxViews) {
    this.#maxViews = most;
  }

  get size(): number {
    return this.#views.size;
  }

  get(connectionId: string): V | undefined {
    const view = this.#views.get(connectionId);
    // The order of the map is that of the last use; it matters only when there are many.
    if (view !== undefined && this.#views.size * 2 > this.#maxViews) {
      this.#views.delete(connectionId);
      this.#views.set(connectionId, view);
    }
    return view;
  }

  put(view: V): void {
    if (view.token === undefined || charsOf(view.token.credentials) > maxCredentialChars) return;
    if (this.#views.size >= this.#maxViews) {
      for (const oldest of this.#views.keys()) {
        this.#views.delete(oldest);
        break;
      }
    }
    this.#views.set(view.connection.id, view);
  }

  connectionsChanged(connectionIds: Iterable<string>): void {
    for (const id of connectionIds) this.#views.delete(id);
  }

  /** How a token is applied is the profile's to say. */
  providersChanged(): void {
    this.#views.clear();
  }
}

function charsOf(credentials: Readonly<Record<string, string>>): number {
  let chars = 0;
  for (const value of Object.values(credentials)) chars += value.length;
  return chars;
}
