import { redirectPathFor, sharedRedirectPath } from "../../model/providers/redirect_path.js";
import type { Store } from "../../store/store.js";

/**
 * The redirect path of each profile. Each has its own, so that an answer of one provider is never taken for that of another (RFC 9700
 * section 4.4.2). It follows from the name at creation alone, never from the network, and stays for the life of the profile, because users
 * register it in a console.
 */
export class RedirectPaths {
  readonly #isShared: boolean;
  /** Path to the id of the profile that has it; read from the store when it is first needed. */
  #holders: Map<string, string> | undefined;

  /** @param options.sharedRedirectUri new profiles get the one path of the existing Nexus; those that have one of their own keep it */
  constructor(private readonly deps: { readonly store: Store; readonly sharedRedirectUri?: boolean }) {
    this.#isShared = deps.sharedRedirectUri ?? false;
  }

  /** The path that a new profile of this name would get. A profile that was renamed still has that of its old name. */
  free(name: string): string {
    return this.#isShared ? sharedRedirectPath : this.#freeFor("", name);
  }

  /**
   * Takes the path of a new profile. Call it in the commit, where one profile follows another, and `release` when the commit fails.
   * Taking it twice gives the same path.
   */
  take(id: string, name: string): string {
    if (this.#isShared) return sharedRedirectPath;
    const path = this.#freeFor(id, name);
    this.#read().set(path, id);
    return path;
  }

  /** Frees what a profile has that was deleted, or never stored. */
  release(id: string): void {
    for (const [path, holder] of this.#read()) if (holder === id) this.#read().delete(path);
  }

  /** Profiles were stored by somebody else: who has which path is read again. */
  forget(): void {
    this.#holders = undefined;
  }

  #freeFor(id: string, name: string): string {
    const holders = this.#read();
    for (let number = 1; ; number++) {
      const path = redirectPathFor(number === 1 ? name : `${name}-${number}`);
      if ((holders.get(path) ?? id) === id) return path;
    }
  }

  #read(): Map<string, string> {
    if (this.#holders) return this.#holders;
    const holders = new Map<string, string>();
    for (const { id, redirectPath } of this.deps.store.listProviders({ limit: Number.POSITIVE_INFINITY })) {
      if (redirectPath !== "") holders.set(redirectPath, id);
    }
    this.#holders = holders;
    return holders;
  }
}
