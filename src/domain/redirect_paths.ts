import type { ProviderProfile } from "../model/provider_profile.js";
import {
  demandsIssuer,
  ownRedirectPath,
  redirectPathOf,
  sameIssuer,
  sharedRedirectPath,
} from "../model/redirect_path.js";
import { type Clock, delay } from "../runtime/clock.js";
import type { Store } from "../store/store.js";
import type { AuthorizationServers } from "./authorization_servers.js";

/** How long a registration waits for a discovery document; what it says decides about the redirect URI. */
const documentWaitMs = 3_000;

const pageSize = 1000;

/**
 * Which redirect URI a profile gets. Where the provider announces that it names itself in the authorization response (RFC 9207), `iss`
 * tells its answers from those of others, and the path is the shared one; else the path is the profile's own, which is as
 * good (RFC 9700 section 4.4.2). It stays, since people register it in a console.
 */
export class RedirectPaths {
  readonly #store: Pick<Store, "listProviders">;
  readonly #servers: Pick<AuthorizationServers, "resolve"> | undefined;
  readonly #clock: Clock;
  /** Path to the id of the profile that has it; read from the store when it is first needed. */
  #holders: Map<string, string> | undefined;

  constructor(options: {
    store: Pick<Store, "listProviders">;
    /** Left out, no document is asked for. */
    servers?: Pick<AuthorizationServers, "resolve">;
    clock: Clock;
  }) {
    this.#store = options.store;
    this.#servers = options.servers;
    this.#clock = options.clock;
  }

  /**
   * Whether the provider announces `iss`; true when its document cannot be had: then the shared path holds until the first
   * consent, which cannot be requested without the document.
   */
  async announcesIssuer(profile: ProviderProfile): Promise<boolean> {
    if (profile.authType !== "oauth2" || !profile.enableDiscovery) return false;
    const asked = this.#servers?.resolve(profile).then(
      ({ issParameterSupported }) => issParameterSupported,
      () => true,
    );
    return await Promise.race([asked ?? true, delay(this.#clock, documentWaitMs).then(() => true)]);
  }

  /**
   * The path of a profile that is about to be written. Call it in the commit.
   *
   * @param before as stored; undefined for a new one
   * @param announces of `announcesIssuer`
   * @param wantsOwn the caller asks for a path of its own
   */
  choose(
    profile: ProviderProfile,
    before: ProviderProfile | undefined,
    announces: boolean,
    wantsOwn = false,
  ): string | undefined {
    if (profile.authType !== "oauth2") return undefined;
    if (before) {
      if (wantsOwn && redirectPathOf(before) === sharedRedirectPath) return this.free(profile);
      if (!demandsIssuer(before) || sameIssuer(before, profile)) return before.redirectPath;
    }
    return profile.enableDiscovery && announces ? sharedRedirectPath : this.free(profile);
  }

  /** A path that no other profile has. A profile that was renamed still has that of its old name. */
  free({ id, name }: Pick<ProviderProfile, "id" | "name">): string {
    const holders = this.#read();
    for (let number = 1; ; number++) {
      const path = ownRedirectPath(number === 1 ? name : `${name}-${number}`);
      if ((holders.get(path) ?? id) === id) return path;
    }
  }

  /** Must be called when a profile was written, or deleted, and that is durable. */
  written({ id, redirectPath }: ProviderProfile): void {
    if (redirectPath !== undefined && redirectPath !== sharedRedirectPath) this.#read().set(redirectPath, id);
  }

  deleted({ redirectPath }: Pick<ProviderProfile, "redirectPath">): void {
    if (redirectPath !== undefined) this.#read().delete(redirectPath);
  }

  #read(): Map<string, string> {
    if (this.#holders) return this.#holders;
    const holders = new Map<string, string>();
    let afterName: string | undefined;
    do {
      const page = this.#store.listProviders({
        limit: pageSize,
        ...(afterName === undefined ? {} : { afterName }),
      });
      for (const { id, redirectPath } of page) {
        if (redirectPath !== undefined && redirectPath !== sharedRedirectPath) holders.set(redirectPath, id);
      }
      afterName = page.length === pageSize ? page.at(-1)?.name : undefined;
    } while (afterName !== undefined);
    this.#holders = holders;
    return holders;
  }
}
