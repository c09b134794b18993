import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { type ConsentRequired, type Token, TokenService } from "../../../gen/nexus/v1/token_pb.js";
import { serviceAccountPrincipal } from "../../../model/access/access.js";
import type { Clock } from "../../../runtime/runtime.js";
import { type Call, codes, WireError } from "../../../service/service.js";
import { keyOf } from "../api/informer.js";
import type { ConnectionObject, ReadyVerdict } from "./custom_objects.js";
import { given, type ObjectStatus } from "./object_status.js";
import type { TokenExport } from "./token_export.js";

export interface ConnectionReconcilerDeps {
  readonly status: ObjectStatus;
  readonly tokens: TokenExport;
  readonly find: (key: string) => ConnectionObject | undefined;
  /** Undefined until the objects of every namespace are known. */
  readonly all: () => Iterable<ConnectionObject> | undefined;
  /** Calls as a principal: what a Connection asks for is judged as a call of its service account. */
  readonly callAs: (principal: string) => Call;
  readonly clock: Clock;
}

/** What a refusal comes to; other errors are tried again. */
const refusals: ReadonlyMap<number, string> = new Map([
  [codes.invalid_argument, "Invalid"],
  [codes.not_found, "ProviderNotFound"],
  [codes.permission_denied, "Denied"],
  [codes.failed_precondition, "Refused"],
  [codes.already_exists, "Refused"],
]);
/** Policies and providers change without a word to this object. */
const refusalCheckMs = 30_000;
/** How soon a deleted object looks again whether others have its connection. */
const sharedCheckMs = 1_000;

interface ReconciledConnection {
  readonly connection: Connection | undefined;
  readonly consent: ConsentRequired | undefined;
  readonly token: Token | undefined;
}

/** Requests a consent for each Connection object, says in its status how it stands, and revokes what is deleted. */
export class ConnectionReconciler {
  /** Keys of objects by the id of their connection. */
  readonly #keys = new Map<string, Set<string>>();

  constructor(private readonly deps: ConnectionReconcilerDeps) {}

  /** The objects of a connection that changed. */
  keysOf(connectionId: string): Iterable<string> {
    return this.#keys.get(connectionId) ?? [];
  }

  async reconcile(key: string): Promise<number | undefined> {
    const { find, status, callAs } = this.deps;
    const object = find(key);
    if (!object) return undefined;
    const { namespace = "" } = object.metadata;
    const call = callAs(serviceAccountPrincipal(namespace, object.spec.serviceAccountName));
    if (object.metadata.deletionTimestamp !== undefined) return await this.#end(object, call);
    // Before anything is made that somebody has to revoke.
    await status.hold(object);
    try {
      return await this.#reported(key, object, await this.#found(object, call));
    } catch (error) {
      const reason = error instanceof WireError ? refusals.get(error.code) : undefined;
      if (reason === undefined) throw error;
      const { message } = error as WireError;
      await status.report(object, { ready: false, reason, message }, { user: userOf(object) });
      return refusalCheckMs;
    }
  }

  async #found(object: ConnectionObject, call: Call): Promise<ReconciledConnection> {
    const name = nameOf(object);
    const { scopes = [] } = object.spec;
    const before = await found(() => call(ConnectionService.method.getConnection, { name }));
    const has = new Set([
      ...(before?.connection?.requestedScopes ?? []),
      ...(before?.connection?.grantedScopes ?? []),
    ]);
    const isConnected =
      before?.connection?.status === ConnectionStatus.ACTIVE && scopes.every((scope) => has.has(scope));
    // A token that nobody is to have is not read.
    if (isConnected && !this.deps.tokens.isWanted(object))
      return { connection: before.connection, consent: undefined, token: undefined };
    const { result } = await call(TokenService.method.acquireToken, { ...name, scopes: [...scopes] });
    const after = await call(ConnectionService.method.getConnection, { name });
    return {
      connection: after.connection,
      consent: result.case === "consent" ? result.value : undefined,
      token: result.case === "token" ? result.value : undefined,
    };
  }

  async #reported(
    key: string,
    object: ConnectionObject,
    found: ReconciledConnection,
  ): Promise<number | undefined> {
    const { status, tokens, clock } = this.deps;
    const { connection, consent, token } = found;
    if (connection) this.#keys.set(connection.id, new Set([...this.keysOf(connection.id), key]));
    const exported = await tokens.keep(object, token);
    const fields = { ...fieldsOf(connection, consent), user: userOf(object), ...exported.fields };
    await status.report(
      object,
      verdictOf(connection, consent),
      given(fields),
      exported.verdict && { Exported: exported.verdict },
    );
    if (!consent?.expiresAt) return undefined;
    return Math.max(1_000, timestampDate(consent.expiresAt).getTime() - clock.nowMs());
  }

  async #end(object: ConnectionObject, call: Call): Promise<number | undefined> {
    const { status, tokens } = this.deps;
    let last: ReadyVerdict | undefined;
    await tokens.remove(object);
    if (object.spec.deletionPolicy === "Revoke") {
      try {
        const name = nameOf(object);
        const before = await found(() => call(ConnectionService.method.getConnection, { name }));
        const sharer = before?.connection && this.#sharerOf(object, before.connection.id);
        if (sharer === "unknown") return sharedCheckMs;
        if (sharer)
          last = { ready: false, reason: "Kept", message: `the grant stays: ${sharer} has it, too` };
        else await found(() => call(ConnectionService.method.deleteConnection, { name }));
      } catch (error) {
        if (!(error instanceof WireError && error.code === codes.permission_denied)) throw error;
        // If the service account lost the right, the grant stays; the object must not be held for good.
        const message =
          "the service account may not revoke it any more: an operator can (nexusd connections revoke)";
        last = { ready: false, reason: "NotRevoked", message };
      }
    }
    await status.release(object, last);
    return undefined;
  }

  /**
   * Another object that has the same connection, by its status: one that was refused does not hold a grant. One that asks for it and
   * was not reconciled yet decides later.
   *
   * @returns what it is called
   */
  #sharerOf(object: ConnectionObject, connectionId: string): string | "unknown" | undefined {
    const all = this.deps.all();
    if (!all) return "unknown";
    const key = keyOf(object);
    const others = [...all].filter(
      (other) => keyOf(other) !== key && other.metadata.deletionTimestamp === undefined,
    );
    const sharer = others.find(({ status }) => status?.["connectionId"] === connectionId);
    if (sharer) return `the Connection ${keyOf(sharer)}`;
    const { providerName, userId, label } = nameOf(object);
    const isWaiting = others.some((other) => {
      const name = nameOf(other);
      const isSame = name.providerName === providerName && name.userId === userId && name.label === label;
      return isSame && other.status?.["observedGeneration"] === undefined;
    });
    return isWaiting ? "unknown" : undefined;
  }
}

function userOf({ metadata: { namespace = "" }, spec }: ConnectionObject): string {
  return spec.user ?? `${namespace}/${spec.serviceAccountName}`;
}

function nameOf(object: ConnectionObject) {
  return {
    providerName: object.spec.provider,
    userId: userOf(object),
    label: object.spec.label ?? "",
  };
}

async function found<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof WireError && error.code === codes.not_found) return undefined;
    throw error;
  }
}

function fieldsOf(connection: Connection | undefined, consent: ConsentRequired | undefined) {
  const { account } = connection ?? {};
  const names = [account?.email, account?.login, account?.name, account?.subject];
  return {
    state: connection && ConnectionStatus[connection.status],
    connectionId: connection?.id,
    account: names.find((name) => name !== undefined && name !== ""),
    expiresAt: connection?.expiresAt && timestampDate(connection.expiresAt).toISOString(),
    grantedScopes: connection?.grantedScopes,
    problem: connection?.problem?.message,
    consentUrl: consent?.authUrl,
    consentExpiresAt: consent?.expiresAt && timestampDate(consent.expiresAt).toISOString(),
  };
}

function verdictOf(connection: Connection | undefined, consent: ConsentRequired | undefined): ReadyVerdict {
  if (consent)
    return {
      ready: false,
      reason: "ConsentRequired",
      message: `the user must open status.consentUrl (${consent.reason})`,
    };
  if (connection?.status === ConnectionStatus.ACTIVE)
    return { ready: true, reason: "Connected", message: "there is a token" };
  const message = connection?.problem?.message ?? "there is no token yet";
  return { ready: false, reason: "NotConnected", message };
}
