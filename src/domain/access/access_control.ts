import { createHash } from "node:crypto";
import type { Action } from "../../model/access/access_table.js";
import { describeRule, Permissions, type RoleRule, type RulePlace } from "../../model/access/permissions.js";
import type { Policy } from "../../model/access/policy.js";
import type { Principal } from "../../model/access/principal.js";
import type { ConnectionFacts } from "../../model/access/scope_restriction.js";
import type { Connection } from "../../model/connections/connection.js";
import { type NexusError, PermissionDenied, Unauthenticated, Unavailable } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { ApiKeys } from "./api_keys.js";
import type { ConnectionAccessCache } from "./connection_access_cache.js";

/** Compiled grants kept in memory; the principals of a JWT issuer can be many. */
const maxGrants = 10_000;

/** A call under way, that ends when its caller does. */
interface Hold {
  readonly action: Action;
  readonly fingerprint: string;
  end(error: NexusError): void;
}

/** What a restricted caller may see, for whatever lists or streams. */
export interface View {
  readonly isRestricted: boolean;
  seesConnection(connection: Pick<Connection, "id" | "userId" | "providerId" | "providerName">): boolean;
  /** As `seesConnection`, of a connection that may be gone. */
  seesChange(change: {
    readonly connectionId: string;
    readonly userId: string;
    readonly providerId: string;
  }): boolean;
  seesProvider(provider: Pick<ProviderProfile, "id" | "name">): boolean;
  /** The store's epoch as this view has it: another one when another part of the store is seen. */
  epochOf(epoch: string): string;
}

/** The policy in force: what each principal may, and which calls end when that changes. */
export class AccessControl {
  readonly #keys: Pick<ApiKeys, "find">;
  readonly #facts: ConnectionAccessCache;
  readonly #clock: Clock;
  readonly #grants = new Map<string, Permissions>();
  readonly #holds = new Map<string, Set<Hold>>();
  /** All calls of a principal share one. */
  readonly #views = new WeakMap<object, View>();
  #policy: Policy | undefined;

  constructor(options: { keys: Pick<ApiKeys, "find">; facts: ConnectionAccessCache; clock: Clock }) {
    this.#keys = options.keys;
    this.#facts = options.facts;
    this.#clock = options.clock;
  }

  get policy(): Policy | undefined {
    return this.#policy;
  }

  /** Takes a policy over; calls of principals that it changes are ended. */
  setPolicy(policy: Policy | undefined): void {
    this.#policy = policy;
    this.#grants.clear();
    for (const name of [...this.#holds.keys()]) this.#judgeHolds(name);
  }

  /** Told when a key was revoked. */
  principalEnded(name: string): void {
    this.#grants.delete(name);
    this.#judgeHolds(name);
  }

  /** What this principal may, whether or not it is still somebody. */
  grantOf(name: string): Permissions {
    const known = this.#grants.get(name);
    if (known) return known;
    const grant = this.#compile(name);
    // A key that somebody asks about before it is made is another matter once it is.
    if (name.startsWith("key:") && !this.#keys.find(name.slice("key:".length))) return grant;
    if (this.#grants.size >= maxGrants) this.#grants.clear();
    this.#grants.set(name, grant);
    return grant;
  }

  /**
   * The gate of every call, before its request is looked at.
   *
   * @throws Unauthenticated when the caller is nobody any more; PermissionDenied
   */
  admit(principal: Principal, action: Action): Permissions {
    this.refuseEnded(principal);
    const grant = this.grantOf(principal.name);
    if (grant.permissionFor(action) === "denied") throw denied(action);
    return grant;
  }

  /** @throws Unauthenticated when the proof of who it is has ended */
  refuseEnded({ name, expiresAtMs }: Principal): void {
    if (expiresAtMs !== undefined && this.#clock.nowMs() >= expiresAtMs) throw ended();
    if (this.#isRevoked(name)) throw ended();
  }

  /**
   * Calls `end`, once, when the caller is nobody any more or may not go on; never after `release`. At once when that happened since it
   * was admitted.
   *
   * @param admitted what `admit` answered
   * @param watchesExpiry for calls that can outlive the proof of who the caller is
   * @returns ends the hold
   */
  hold(
    principal: Principal,
    action: Action,
    admitted: Pick<Permissions, "fingerprint">,
    end: Hold["end"],
    watchesExpiry: boolean,
  ): () => void {
    const { name, expiresAtMs } = principal;
    const holds = this.#holds.get(name) ?? new Set();
    this.#holds.set(name, holds);
    const hold: Hold = { action, fingerprint: admitted.fingerprint, end };
    holds.add(hold);
    this.#judge(hold, name);
    let timer: Timer | undefined;
    if (watchesExpiry && expiresAtMs !== undefined) {
      timer = this.#clock.setTimer(expiresAtMs - this.#clock.nowMs(), () => end(ended()));
    }
    return () => {
      timer?.cancel();
      holds.delete(hold);
      if (holds.size === 0 && this.#holds.get(name) === holds) this.#holds.delete(name);
    };
  }

  /** What the caller may see. It follows the policy: judged anew at each question. */
  viewOf(principal: Pick<Principal, "name">): View {
    const known = this.#views.get(principal);
    if (known) return known;
    const view = this.#makeView(principal);
    this.#views.set(principal, view);
    return view;
  }

  #makeView({ name }: Pick<Principal, "name">): View {
    const grant = (): Permissions => this.grantOf(name);
    const facts = this.#facts;
    return {
      get isRestricted() {
        return grant().isRestricted;
      },
      seesConnection: (connection) => {
        const current = grant();
        if (!current.isRestricted) return true;
        return current.contains({ kind: "connection", ...facts.from(connection.id, connection) });
      },
      seesChange: ({ connectionId, userId, providerId }) => {
        const current = grant();
        if (!current.isRestricted) return true;
        const known = facts.of(connectionId);
        const seen = known ?? facts.from(connectionId, { userId, providerId, providerName: "" });
        return current.contains({ kind: "connection", ...seen });
      },
      seesProvider: (provider) => this.seesProvider(grant(), provider),
      epochOf: (epoch) => (grant().isRestricted ? `${epoch}.${shortHash(grant().fingerprint)}` : epoch),
    };
  }

  seesProvider(grant: Permissions, { id, name }: Pick<ProviderProfile, "id" | "name">): boolean {
    if (!grant.isRestricted) return true;
    return grant.contains({
      kind: "provider",
      provider: { id, name },
      holdsAny: (connectionIds) => {
        for (const connectionId of connectionIds) {
          if (this.#facts.of(connectionId)?.provider.id === id) return true;
        }
        return false;
      },
    });
  }

  /** The connection, if it exists and is within the grant: the two cannot be told apart. */
  visible(grant: Permissions, connectionId: string): ConnectionFacts | undefined {
    const facts = this.#facts.of(connectionId);
    return facts && grant.contains({ kind: "connection", ...facts }) ? facts : undefined;
  }

  factsOf(connectionId: string): ConnectionFacts | undefined {
    return this.#facts.of(connectionId);
  }

  #compile(name: string): Permissions {
    if (name === "owner" || name === "admin") return new Permissions([ofDataFolder], ofDataFolder.place);
    const bound = this.#policy?.ruleFor(name);
    if (!name.startsWith("key:")) {
      return new Permissions(bound ? [bound] : [], {
        text: this.#policy
          ? `no binding of the policy file names ${name}: everything is denied`
          : `there is no policy file, and without one ${name} may do nothing`,
        line: 0,
      });
    }
    const record = this.#keys.find(name.slice("key:".length));
    if (!record) return new Permissions([], place(`there is no API key ${name}`));
    if (record.revokedAtMs !== undefined) return new Permissions([], place(`the API key ${name} is revoked`));
    const own: RoleRule = {
      role: record.role,
      restriction: record.restriction,
      place: place(`the API key ${name} was made with ${describeRule(record)}`),
    };
    return new Permissions(bound ? [own, bound] : [own], own.place);
  }

  #judgeHolds(name: string): void {
    for (const hold of [...(this.#holds.get(name) ?? [])]) this.#judge(hold, name);
  }

  #judge(hold: Hold, name: string): void {
    const grant = this.grantOf(name);
    if (this.#isRevoked(name)) hold.end(ended());
    else if (grant.permissionFor(hold.action) === "denied") hold.end(denied(hold.action));
    else if (grant.fingerprint !== hold.fingerprint) {
      hold.end(new Unavailable("what this caller may see has changed: connect again"));
    }
  }

  #isRevoked(name: string): boolean {
    if (!name.startsWith("key:")) return false;
    const record = this.#keys.find(name.slice("key:".length));
    return record === undefined || record.revokedAtMs !== undefined;
  }
}

export function denied(action: Action): PermissionDenied {
  return new PermissionDenied(`this caller may not do that (${action})`);
}

function ended(): Unauthenticated {
  return new Unauthenticated("the credential that this caller showed is not valid any more");
}

const ofDataFolder: RoleRule = {
  role: "admin",
  restriction: undefined,
  place: place("the owner of the data folder and its admin.key are admin, whatever a policy file says"),
};

function place(text: string): RulePlace {
  return { text, line: 0 };
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
