import { createHash } from "node:crypto";
import type { Action } from "../../model/access/access_table.js";
import { ended, howEnded, isLive, keyPrefix } from "../../model/access/api_key.js";
import { describeRule, Permissions, type RoleRule, type RulePlace } from "../../model/access/permissions.js";
import type { Policy } from "../../model/access/policy.js";
import type { Identity, Principal } from "../../model/access/principal.js";
import type { ConnectionFacts } from "../../model/access/scope_restriction.js";
import type { Connection } from "../../model/connections/connection.js";
import { type NexusError, PermissionDenied, Unauthenticated, Unavailable } from "../../model/errors.js";
import { isId } from "../../model/ids.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { ApiKeys } from "./api_keys.js";

/** Entries of each kind: some 4 MiB at most. Principals of a JWT issuer can be many. */
const maxEntries = 10_000;

export interface AccessControlDeps {
  readonly store: Pick<Store, "getConnection" | "providerNameOf">;
  readonly changes: Changes;
  readonly keys: Pick<ApiKeys, "find">;
  readonly clock: Clock;
}

/** A call under way, that ends when its caller does. */
interface Hold {
  readonly caller: Identity;
  readonly action: Action;
  readonly fingerprint: string;
  end(error: NexusError): void;
}

type VisibleName = Pick<Connection, "id" | "userId" | "providerId" | "providerName"> & { label?: string };

/** What a restricted caller may see, for whatever lists or streams. */
export interface Sight {
  readonly isRestricted: boolean;
  seesConnection(connection: VisibleName): boolean;
  /** As `seesConnection`, of a connection that may be gone. */
  seesChange(change: {
    readonly connectionId: string;
    readonly userId: string;
    readonly providerId: string;
  }): boolean;
  seesProvider(provider: ProviderProfile): boolean;
  /** The store's epoch as this view has it: another one when another part of the store is seen. */
  epochOf(epoch: string): string;
}

/** The policy in force: what each principal may, and which calls end when that changes. */
export class AccessControl {
  /** Compiled, by the name of the principal. */
  readonly #permissions = new BoundedMap<string, Permissions>(maxEntries);
  /** By the id of the connection. */
  readonly #facts = new BoundedMap<string, ConnectionFacts>(maxEntries);
  readonly #holds = new Map<string, Set<Hold>>();
  /** By the object of a principal, which the calls over one Unix socket share. */
  readonly #views = new WeakMap<object, Sight>();
  #policy: Policy | undefined;
  #grants: Policy | undefined;
  #stopped: ReadonlySet<string> = new Set();

  constructor(private readonly deps: AccessControlDeps) {
    deps.changes.on("principalEnded", (name) => {
      this.#permissions.delete(name);
      for (const hold of [...(this.#holds.get(name) ?? [])]) hold.end(this.#endOf(name) ?? ended());
    });
    deps.changes.on("keyRotated", (name, oldUntilMs) => {
      const held = [...(this.#holds.get(name) ?? [])];
      if (held.length === 0) return;
      deps.clock.setTimer(oldUntilMs - deps.clock.nowMs(), () => {
        for (const hold of held) if (this.#holds.get(name)?.has(hold)) hold.end(ended());
      });
    });
    deps.changes.on("connections", (changed) => {
      for (const { connectionId } of changed) this.#facts.delete(connectionId);
    });
    deps.changes.on("provider", () => this.#facts.clear());
  }

  get policy(): Policy | undefined {
    return this.#policy;
  }

  /**
   * Takes a policy over; calls of principals that it changes are ended.
   *
   * @param of `cluster` for bindings that count before those of the file
   */
  setPolicy(policy: Policy | undefined, of: "file" | "cluster" = "file"): void {
    if (of === "file") this.#policy = policy;
    else this.#grants = policy;
    this.#permissions.clear();
    for (const holds of [...this.#holds.values()]) for (const hold of [...holds]) this.#judge(hold);
    if (of === "file") this.deps.changes.emit("policyChanged", policy?.digest ?? "");
  }

  /** Principals that an administrator stopped, whatever proves who they are. What those do that were stopped or let go since is ended. */
  setStopped(names: ReadonlySet<string>): void {
    const before = this.#stopped;
    this.#stopped = names;
    for (const name of new Set([...before, ...names]))
      if (before.has(name) !== names.has(name)) this.deps.changes.emit("principalEnded", name);
  }

  /** What this principal may do, whether or not its key or token is still valid. */
  permissionsOf(name: string): Permissions {
    const cached = this.#permissions.get(name);
    if (cached) return cached;
    const permissions = this.#compile(name);
    // A key may be looked up before it is made, and has other permissions afterwards.
    if (name.startsWith(keyPrefix) && !this.deps.keys.find(name.slice(keyPrefix.length))) return permissions;
    this.#permissions.set(name, permissions);
    return permissions;
  }

  /** What a caller may do: what its principal may, within what that says of whom it calls for. */
  permissionsFor({ name, onBehalfOf }: Identity): Permissions {
    const permissions = this.permissionsOf(name);
    if (onBehalfOf === undefined) return permissions;
    const said = place(`${name} calls for ${onBehalfOf.name}, and restricts it so`);
    return permissions.restrictedTo(onBehalfOf.restrictions, said);
  }

  /**
   * The gate of every call, before its request is looked at.
   *
   * @throws Unauthenticated when the key, token or certificate of the caller has ended; PermissionDenied
   */
  admit(principal: Principal, action: Action): Permissions {
    this.refuseEnded(principal);
    const permissions = this.permissionsFor(principal);
    if (permissions.permissionFor(action) === "denied") throw denied(action);
    return permissions;
  }

  /** @throws Unauthenticated when the proof of who it is has ended */
  refuseEnded({ name, expiresAtMs }: Principal): void {
    const isOver = expiresAtMs !== undefined && this.deps.clock.nowMs() >= expiresAtMs;
    const end = isOver ? ended() : this.#endOf(name);
    if (end) throw end;
  }

  /**
   * Calls `end`, once, when the credential of the caller ends or its permissions change; never after `release`. At once when that happened since it
   * was admitted.
   *
   * @param admitted what `admit` answered
   * @param watchesExpiry for calls that can outlive the proof of who the caller is
   * @returns ends the hold
   */
  hold(
    principal: Principal,
    action: Action,
    admitted: Permissions,
    end: Hold["end"],
    watchesExpiry: boolean,
  ): () => void {
    const { name, expiresAtMs } = principal;
    const holds = this.#holds.get(name) ?? new Set();
    this.#holds.set(name, holds);
    const hold: Hold = { caller: principal, action, fingerprint: admitted.fingerprint, end };
    holds.add(hold);
    this.#judge(hold);
    let timer: Timer | undefined;
    if (watchesExpiry && expiresAtMs !== undefined) {
      timer = this.deps.clock.setTimer(expiresAtMs - this.deps.clock.nowMs(), () => end(ended()));
    }
    return () => {
      timer?.cancel();
      holds.delete(hold);
      if (holds.size === 0 && this.#holds.get(name) === holds) this.#holds.delete(name);
    };
  }

  /** What the caller may see. It follows the policy: judged again at each question. */
  viewOf(principal: Identity): Sight {
    const cached = this.#views.get(principal);
    if (cached) return cached;
    const view = this.#makeView(principal);
    this.#views.set(principal, view);
    return view;
  }

  #makeView(caller: Identity): Sight {
    const permissions = (): Permissions => this.permissionsFor(caller);
    return {
      get isRestricted() {
        return permissions().isRestricted;
      },
      seesConnection: (connection) => {
        const current = permissions();
        if (!current.isRestricted) return true;
        return current.contains({ kind: "connection", ...this.#factsFrom(connection) });
      },
      seesChange: ({ connectionId, userId, providerId }) => {
        const current = permissions();
        if (!current.isRestricted) return true;
        const facts =
          this.factsOf(connectionId) ??
          this.#factsFrom({ id: connectionId, userId, providerId, providerName: "" });
        return current.contains({ kind: "connection", ...facts });
      },
      seesProvider: (provider) => this.seesProvider(permissions(), provider),
      epochOf: (epoch) =>
        permissions().isRestricted ? `${epoch}.${shortHash(permissions().fingerprint)}` : epoch,
    };
  }

  seesProvider(permissions: Permissions, { id, name }: ProviderProfile): boolean {
    if (!permissions.isRestricted) return true;
    return permissions.contains({
      kind: "provider",
      provider: { id, name },
      holdsAny: (ids) => [...ids].some((each) => this.factsOf(each)?.provider.id === id),
    });
  }

  /** The connection, if it exists and is within the permissions: the two cannot be distinguished. */
  visible(permissions: Permissions, connectionId: string): ConnectionFacts | undefined {
    const facts = this.factsOf(connectionId);
    return facts && permissions.contains({ kind: "connection", ...facts }) ? facts : undefined;
  }

  /** Undefined when there is no such connection. */
  factsOf(connectionId: string): ConnectionFacts | undefined {
    const cached = this.#facts.get(connectionId);
    if (cached) return cached;
    // Longer keys are refused by the store.
    const connection = isId(connectionId) ? this.deps.store.getConnection(connectionId) : undefined;
    if (!connection) return undefined;
    const facts = this.#factsFrom(connection);
    this.#facts.set(connectionId, facts);
    return facts;
  }

  /** With the present name of the provider: a deleted one has none, and its connections keep the one they were made under. */
  #factsFrom({ id, userId, providerId, providerName, label }: VisibleName): ConnectionFacts {
    const name = this.deps.store.providerNameOf(providerId) ?? providerName;
    return { connectionId: id, userId, label, provider: { id: providerId, name } };
  }

  #compile(name: string): Permissions {
    if (name === "owner" || name === "admin")
      return new Permissions([ofDataFolder], ofDataFolder.place, this.#policy);
    if (this.#stopped.has(name)) return new Permissions([], place(stopped(name)));
    const bound = this.#grants?.ruleFor(name) ?? this.#policy?.ruleFor(name);
    if (!name.startsWith(keyPrefix)) {
      const why = this.#policy
        ? `no binding of the policy file names ${name}: everything is denied`
        : `there is no policy file, and without one ${name} may do nothing`;
      return new Permissions(bound ? [bound] : [], place(why), this.#policy);
    }
    const record = this.deps.keys.find(name.slice(keyPrefix.length));
    if (!record) return new Permissions([], place(`there is no API key ${name}`));
    if (record.revokedAtMs !== undefined)
      return new Permissions([], place(`the API key ${name} ${howEnded(record)}`));
    const own: RoleRule = {
      role: record.role,
      restriction: record.restriction,
      uses: record.uses,
      place: place(`the API key ${name} was made with ${describeRule(record.role, record.restriction)}`),
    };
    return new Permissions(bound ? [own, bound] : [own], own.place, this.#policy);
  }

  #judge(hold: Hold): void {
    const permissions = this.permissionsFor(hold.caller);
    const end = this.#endOf(hold.caller.name);
    if (end) hold.end(end);
    else if (permissions.permissionFor(hold.action) === "denied") hold.end(denied(hold.action));
    else if (permissions.fingerprint !== hold.fingerprint)
      hold.end(new Unavailable("what this caller may see has changed: connect again"));
  }

  /** Why this principal may not call any more: its API key has ended, or it was stopped. */
  #endOf(name: string): Unauthenticated | undefined {
    if (this.#stopped.has(name)) return new Unauthenticated(stopped(name));
    if (!name.startsWith(keyPrefix)) return undefined;
    const record = this.deps.keys.find(name.slice(keyPrefix.length));
    return record && isLive(record, this.deps.clock.nowMs()) ? undefined : ended(record);
  }
}

export function denied(action: Action): PermissionDenied {
  return new PermissionDenied(`permission denied: requires ${action}`);
}

const ofDataFolder: RoleRule = {
  role: "admin",
  restriction: undefined,
  place: place("the owner of the data folder and its admin.key are admin, whatever a policy file says"),
};

function stopped(name: string): string {
  return `${name} was stopped; an administrator can lift that with nexusd stop --lift`;
}

function place(text: string): RulePlace {
  return { text, line: 0 };
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
