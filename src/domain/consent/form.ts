import { by } from "../../model/access/audit_event.js";
import { at, browser, type Principal, type Provenance } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import type { StaticCredential } from "../../model/credentials/credential.js";
import {
  Aborted,
  DataLoss,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  type PreconditionReason,
  Unavailable,
} from "../../model/errors.js";
import { isExpiredState } from "../../model/ids.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Clock } from "../../runtime/clock.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Log } from "../../runtime/log.js";
import type { Secret } from "../../runtime/secret.js";
import type { Transaction } from "../../store/transaction.js";
import { type CredentialVault, hashState } from "../credentials/credential_vault.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { StoreParts } from "../credentials/parts.js";
import { captureFields, enteredValues, generalViolations } from "../providers/static/capture_fields.js";
import type { CredentialTrial } from "../providers/static/credential_probe.js";
import { schemaOf } from "../providers/static/credential_schema.js";
import { checkCredential } from "../providers/static/credential_values.js";
import type { Committed, ConsentKeeper } from "./consent_keeper.js";
import {
  asking,
  bindingName,
  type CaptureError,
  type CaptureFlow,
  type CaptureForm,
  type CaptureFormOutcome,
  type CaptureSchemaOutcome,
  type ConsentFailure,
  formTokenOf,
  returnLocation,
  type SubmitOutcome,
  sameText,
  successOf,
} from "./consent_outcomes.js";

/** A pending request of a static type. */
export interface CaptureRequest {
  readonly stateHash: string;
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile;
  readonly connection: Connection | undefined;
}

export interface CapturedCredential {
  readonly connection: Connection;
  /** The return URL with the outcome; undefined when the request had none. */
  readonly redirectUrl: string | undefined;
}

type Fields = Readonly<Record<string, Secret>>;

/** Static credentials: captured for a request, replaced by hand. */
export class CredentialCapture {
  constructor(
    private readonly deps: StoreParts & {
      readonly writer: CredentialWriter;
      readonly keeper: ConsentKeeper;
      readonly trial: Pick<CredentialTrial, "try">;
      /** Of connections: one credential is tried and written at a time. */
      readonly locks: KeyedMutex<string>;
    },
  ) {}

  /** @throws NotFound, FailedPrecondition (NOT_STATIC, PROVIDER_DELETED) */
  schema(state: string): { readonly providerName: string; readonly schema: JsonObject } {
    const { profile } = this.find(state);
    return { providerName: profile.name, schema: schemaOf(profile) };
  }

  /**
   * The pending request of a state. Consumes nothing.
   *
   * @throws NotFound for a state that is unknown, used, expired, or older than an edit of its profile; FailedPrecondition
   */
  find(state: string): CaptureRequest {
    const stateHash = hashState(state);
    const pending = this.deps.store.getAuthorization(stateHash);
    if (!pending || pending.held) throw new NotFound("request");
    const profile = this.#judge(pending, this.deps.store.getProvider(pending.providerId));
    return { stateHash, pending, profile, connection: this.deps.store.getConnection(pending.connectionId) };
  }

  /**
   * Completes the request of `state`. Values that fail leave it usable.
   *
   * @throws as `find`; InvalidArgument; FailedPrecondition CREDENTIAL_REJECTED; Unavailable
   */
  async capture(
    state: string,
    values: Readonly<Record<string, JsonValue>>,
    principal: Principal,
  ): Promise<CapturedCredential> {
    const { pending, profile } = this.find(state);
    const fields = checkCredential(profile, values);
    return await this.deps.locks.run(pending.connectionId, async () => {
      // It may have been used or replaced while this call waited for its turn.
      const request = this.find(state);
      const credential = await this.#tried(request.profile, fields, pending.connectionId, principal);
      const { connection, completionCode } = await this.deps.store.commit((tx) =>
        this.#complete(tx, request, credential, principal),
      );
      const { returnUrl } = pending;
      const redirectUrl = returnUrl && returnLocation(returnUrl, pending, profile, successOf(completionCode));
      return { connection, redirectUrl };
    });
  }

  /**
   * Writes new values as the next revision of an active connection.
   *
   * @throws NotFound; FailedPrecondition; InvalidArgument; Unavailable
   */
  async replace(
    connectionId: string,
    values: Readonly<Record<string, JsonValue>>,
    principal: Principal,
  ): Promise<Connection> {
    return await this.deps.locks.run(connectionId, async () => {
      const connection = this.deps.store.getConnection(connectionId);
      if (!connection) throw new NotFound("connection");
      const profile = replaceable(connection, this.deps.store.getProvider(connection.providerId));
      const fields = checkCredential(profile, values);
      const credential = await this.#tried(profile, fields, connectionId, principal);
      const nowMs = this.deps.clock.nowMs();
      return await this.deps.store.commit((tx) => {
        const before = tx.getConnection(connectionId);
        if (!before) throw new NotFound("connection");
        const current = replaceable(before, tx.getProvider(before.providerId));
        if (current.version !== profile.version) {
          throw new Aborted(
            "the provider profile was changed while the credential was tried: repeat the call",
          );
        }
        const replaced = this.deps.writer.writeFields(tx, before, profile, credential);
        tx.appendAudit({
          timeMs: nowMs,
          type: "credential_replaced",
          ...by(principal),
          connectionId,
          providerId: profile.id,
        });
        return replaced;
      });
    });
  }

  /** Takes the state and writes the credential in one commit: of any number of callers one gets here. */
  #complete(
    tx: Transaction,
    { stateHash: key, profile }: CaptureRequest,
    tried: StaticCredential,
    actor: Principal,
  ): Committed {
    const pending = tx.getAuthorization(key);
    if (!pending) throw new NotFound("request");
    this.#judge(pending, tx.getProvider(pending.providerId));
    const credential = { kind: "fields", ...tried, receivedAtMs: this.deps.clock.nowMs() } as const;
    const granted = { way: "form", key, pending, profile, credential, actor } as const;
    const committed = this.deps.keeper.commit(tx, granted);
    if (!committed) throw new NotFound("request");
    return committed;
  }

  #judge(pending: PendingAuthorization, profile: ProviderProfile | undefined): ProviderProfile {
    if (this.deps.clock.nowMs() >= pending.expiresAtMs) throw new NotFound("request");
    if (!profile) throw deleted();
    if (profile.version !== pending.providerVersion) throw new NotFound("request");
    if (profile.authType === "oauth2") {
      throw new FailedPrecondition("NOT_STATIC", "the request is one of oauth2: open its auth_url instead");
    }
    return profile;
  }

  async #tried(
    profile: ProviderProfile,
    fields: Fields,
    connectionId: string,
    principal: Principal,
  ): Promise<StaticCredential> {
    try {
      return { fields, account: await this.deps.trial.try(profile, fields) };
    } catch (error) {
      if (!(error instanceof FailedPrecondition)) throw error;
      await this.deps.store.commit((tx) =>
        tx.appendAudit({
          timeMs: this.deps.clock.nowMs(),
          type: "credential_rejected",
          ...by(principal),
          connectionId,
          providerId: profile.id,
        }),
      );
      throw error;
    }
  }
}

const unreplaceable: Readonly<Partial<Record<Connection["status"], PreconditionReason>>> = {
  pending: "CONNECTION_PENDING",
  revoked: "CONNECTION_REVOKED",
  expired: "CONNECTION_EXPIRED",
  failed: "CONNECTION_FAILED",
};

function replaceable(connection: Connection, profile: ProviderProfile | undefined): ProviderProfile {
  if (!profile) throw deleted();
  if (profile.authType === "oauth2") {
    throw new FailedPrecondition("NOT_STATIC", "the connection is one of oauth2: ask for consent again");
  }
  const reason = unreplaceable[connection.status];
  if (reason) {
    throw new FailedPrecondition(reason, `the connection is ${connection.status}: it has no credential`);
  }
  return profile;
}

function deleted(): FailedPrecondition {
  return new FailedPrecondition("PROVIDER_DELETED", "the provider of this connection was deleted");
}

type Cookies = (name: string) => string | undefined;
type Found = { readonly kind: "found"; readonly request: CaptureRequest; readonly formToken: string };

/** The form of `/auth/capture`: who may see it, and what is wrong with it. */
export class CaptureFormFlow implements CaptureFlow {
  constructor(
    private readonly deps: {
      readonly capture: CredentialCapture;
      readonly vault: CredentialVault;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  async form(state: string, cookie: Cookies): Promise<CaptureFormOutcome> {
    const found = this.#find(state, cookie);
    if (found.kind !== "found") return found;
    return { kind: "form", form: formOf(found, undefined) };
  }

  schema(state: string): CaptureSchemaOutcome {
    try {
      return { kind: "schema", ...this.deps.capture.schema(state) };
    } catch (thrown) {
      const judged = this.#judge(thrown, state);
      if (typeof judged === "string") throw thrown;
      return judged;
    }
  }

  async submit(
    state: string,
    values: URLSearchParams,
    formToken: string,
    cookie: Cookies,
    from: Provenance | undefined,
  ): Promise<SubmitOutcome> {
    const found = this.#find(state, cookie);
    if (found.kind !== "found") return found;
    const { pending, profile } = found.request;
    const context = { connectionId: pending.connectionId, providerId: profile.id };
    if (!sameText(formToken, found.formToken)) {
      this.deps.log.warn(context, "capture form without its token");
      return { kind: "foreign_form" };
    }
    const entered = enteredValues(profile, values);
    try {
      const { redirectUrl, connection } = await this.deps.capture.capture(
        state,
        entered,
        at(browser, from?.origin, from?.via),
      );
      if (redirectUrl !== undefined) return { kind: "return", location: redirectUrl };
      return { kind: "done", ...asking(pending, profile, connection), account: connection.account };
    } catch (thrown) {
      const judged = this.#judge(thrown, state);
      if (typeof judged !== "string") return judged;
      if (judged === "not_asked") {
        this.deps.log.warn({ ...context, error: (thrown as Error).message }, "credential not tried");
      }
      return { kind: "form", error: judged, form: formOf(found, { entered, thrown }) };
    }
  }

  #find(state: string, cookie: Cookies): Found | ConsentFailure {
    try {
      const request = this.deps.capture.find(state);
      const { connectionId, providerId } = request.pending;
      const { browserBinding } = this.deps.vault.openAuthorization(request.stateHash, request.pending);
      if (!sameText(cookie(bindingName(request.stateHash)) ?? "", browserBinding)) {
        this.deps.log.warn({ connectionId, providerId }, "capture form from another browser");
        return { kind: "foreign_form" };
      }
      return { kind: "found", request, formToken: formTokenOf(browserBinding, request.stateHash) };
    } catch (thrown) {
      if (thrown instanceof DataLoss) return { kind: "unknown_request" };
      const judged = this.#judge(thrown, state);
      if (typeof judged === "string") throw thrown;
      return judged;
    }
  }

  /** What ends the matter, or what the form itself can show. @throws what is an error of ours */
  #judge(thrown: unknown, state: string): ConsentFailure | CaptureError {
    if (thrown instanceof InvalidArgument) return "invalid";
    if (thrown instanceof Unavailable) return "not_asked";
    if (thrown instanceof NotFound) {
      return { kind: isExpiredState(state, this.deps.clock.nowMs()) ? "expired" : "unknown_request" };
    }
    if (!(thrown instanceof FailedPrecondition)) throw thrown;
    if (thrown.reason === "CREDENTIAL_REJECTED") return "rejected";
    return { kind: thrown.reason === "PROVIDER_DELETED" ? "provider_changed" : "unknown_request" };
  }
}

function formOf(
  { request: { pending, profile, connection }, formToken }: Found,
  failed: { readonly entered: Readonly<Record<string, string>>; readonly thrown: unknown } | undefined,
): CaptureForm {
  const thrown = failed?.thrown;
  const violations = thrown instanceof InvalidArgument ? thrown.violations : [];
  const { title, description } = profile.credentialSchema ?? {};
  return {
    ...asking(pending, profile, connection),
    title: typeof title === "string" ? title : "",
    description: typeof description === "string" ? description : "",
    fields: captureFields(profile, failed?.entered, violations),
    violations: generalViolations(profile, violations),
    formToken,
  };
}
