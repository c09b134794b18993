import { type Action, isAction } from "../../model/access/access_table.js";
import type { Decision, Permissions } from "../../model/access/permissions.js";
import { principalPrefixes, unknownProviders, unruled } from "../../model/access/policy.js";
import type { ConnectionFacts, Resource } from "../../model/access/scope_restriction.js";
import { InvalidArgument, NotFound } from "../../model/errors.js";
import { isId } from "../../model/ids.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Store } from "../../store/store.js";
import type { AccessControl } from "./access_control.js";

/** The resource of a question; each part may be missing. */
export interface ResourceQuestion {
  readonly connectionId: string | undefined;
  readonly userId: string | undefined;
  /** Name or id. */
  readonly provider: string | undefined;
}

export interface Explanation extends Decision {
  readonly permissions: Permissions;
}

/** Answers what the policy in force says of anybody. */
export class AccessExplainer {
  constructor(private readonly deps: { readonly access: AccessControl; readonly store: Store }) {}

  /** @throws InvalidArgument for what can be no principal; NotFound for a connection or provider that does not exist */
  explain(principal: string, action: Action, question: ResourceQuestion): Explanation {
    const isKnown = principal === "owner" || principal === "admin";
    if (!isKnown && !principalPrefixes.some((prefix) => principal.startsWith(prefix))) {
      const description = `must be owner, admin, or begin with one of ${principalPrefixes.join(" ")}`;
      throw new InvalidArgument([{ field: "principal", description }]);
    }
    const permissions = this.deps.access.permissionsOf(principal);
    return { ...permissions.decide(action, this.#resourceOf(action, question)), permissions };
  }

  /** Warnings about the policy file. @param providerName whose requests the question is about */
  warnings(providerName?: string): string[] {
    const { policy } = this.deps.access;
    if (!policy) return [];
    const known = this.deps.store.listProviders({ limit: Number.MAX_SAFE_INTEGER }).map(({ name }) => name);
    const unknown = unknownProviders(policy, known).map(({ line, text }) => `line ${line}: ${text}`);
    return [...unknown, ...[providerName && unruled(policy, providerName)].flatMap((text) => text || [])];
  }

  #resourceOf(
    action: Action,
    { connectionId, userId, provider: key }: ResourceQuestion,
  ): Resource | undefined {
    const provider = key === undefined ? undefined : this.#provider(key);
    if (connectionId !== undefined) {
      const facts = this.deps.access.factsOf(connectionId);
      if (!facts) throw new NotFound("connection");
      refuseOthers(facts, userId, provider);
      return { kind: "connection", ...facts };
    }
    if (provider && action.startsWith("provider.")) {
      const holdsAny = (ids: Iterable<string>): boolean =>
        [...ids].some((id) => this.deps.access.factsOf(id)?.provider.id === provider.id);
      return { kind: "provider", provider, holdsAny };
    }
    return userId === undefined && !provider ? undefined : { kind: "new", userId, provider };
  }

  #provider(key: string): ProviderProfile {
    const profile = this.deps.store.findProvider(isId(key) ? { id: key } : { name: key });
    if (!profile) throw new NotFound("provider");
    return profile;
  }
}

function refuseOthers(
  facts: ConnectionFacts,
  userId: string | undefined,
  provider: ProviderProfile | undefined,
): void {
  const description = "is not the one of this connection: leave it out";
  if (userId !== undefined && userId !== facts.userId) {
    throw new InvalidArgument([{ field: "resource.user_id", description }]);
  }
  if (provider && provider.id !== facts.provider.id) {
    throw new InvalidArgument([{ field: "resource.provider", description }]);
  }
}

/** @throws InvalidArgument on what is neither an action nor an RPC */
export function actionNamed(text: string, actionOfRpc: (rpc: string) => Action | undefined): Action {
  const action = isAction(text) ? text : actionOfRpc(text);
  if (action) return action;
  throw new InvalidArgument([
    {
      field: "action",
      description: "must be an action, such as token.read, or an RPC, such as TokenService/GetToken",
    },
  ]);
}
