import { by } from "../../model/access/audit_event.js";
import { at, browser, type Principal, type Provenance } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import type { StaticCredential } from "../../model/credentials/credential.js";
import {
  Aborted,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  type PreconditionReason,
  Unavailable,
} from "../../model/errors.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Secret } from "../../runtime/secret.js";
import type { Reads } from "../../store/reads.js";
import { type CredentialWriter, hashState, type StoreParts } from "../connections/connections.js";
import {
  type CredentialTrial,
  captureFields,
  checkCredential,
  enteredValues,
  generalViolations,
  schemaOf,
} from "../profiles/profiles.js";
import type { ConsentCommits } from "./consent_commit.js";
import {
  asking,
  type CaptureError,
  type CaptureFlow,
  type CaptureForm,
  type CaptureFormOutcome,
  type CaptureSchemaOutcome,
  type ConsentFailure,
  type FinishOutcome,
  failureOf,
  returnGiven,
  type SubmitOutcome,
} from "./consent_outcomes.js";
import {
  type ConsentJudge,
  type Cookies,
  type Flaw,
  type Flawless,
  formTokenOf,
  type Presented,
} from "./ways.js";

export interface CapturedCredential {
  readonly connection: Connection;
  /** For the browser of the user. */
  readonly outcome: FinishOutcome;
}

type TypedFields = Readonly<Record<string, Secret>>;

/** Static credentials: captured for a request, replaced by hand. */
export class CredentialCapture {
  constructor(
    private readonly deps: StoreParts & {
      readonly judge: ConsentJudge;
      readonly writer: CredentialWriter;
      readonly commits: ConsentCommits;
      readonly trial: Pick<CredentialTrial, "try">;
      /** Of connections: one credential is tried and written at a time. */
      readonly locks: KeyedMutex<string>;
    },
  ) {}

  /** @throws NotFound, FailedPrecondition (NOT_STATIC, PROVIDER_DELETED) */
  schema(state: string): { readonly providerName: string; readonly schema: JsonObject } {
    const { profile } = this.#find(this.deps.store, state);
    return { providerName: profile.name, schema: schemaOf(profile) };
  }

  /**
   * Completes the request of `state`. Values that fail leave it usable.
   *
   * @throws NotFound for a state that is unknown, used, expired, or older than an edit of its profile; FailedPrecondition NOT_STATIC,
   * PROVIDER_DELETED, CREDENTIAL_REJECTED; InvalidArgument; Unavailable
   */
  async capture(
    state: string,
    values: Readonly<Record<string, JsonValue>>,
    actor: Principal,
  ): Promise<CapturedCredential> {
    const { store, locks, commits, clock } = this.deps;
    const { pending, profile } = this.#find(store, state);
    const fields = checkCredential(profile, values);
    return await locks.run(pending.connectionId, async () => {
      // It may have been used or replaced while this call waited for its turn.
      const tried = await this.#tried(this.#find(store, state).profile, fields, pending.connectionId, actor);
      const committed = await store.commit((tx) => {
        // And while the provider was asked.
        const found = this.#find(tx, state);
        const credential = { kind: "fields", ...tried, receivedAtMs: clock.nowMs() } as const;
        return commits.commitIn(tx, { ...found, way: "form", credential, actor });
      });
      if (!committed) throw new NotFound("request");
      const { connection } = committed;
      const outcome = returnGiven(pending, profile, { ...committed, account: connection.account });
      return { connection, outcome };
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

  /** @throws NotFound, FailedPrecondition */
  #find(reads: Reads, state: string): Flawless {
    const found = this.deps.judge.find("capture", reads, hashState(state));
    if (typeof found !== "string") return found;
    if (found === "profile_deleted") throw deleted();
    if (found !== "not_static") throw new NotFound("request");
    throw new FailedPrecondition("NOT_STATIC", "the request is one of oauth2: open its auth_url instead");
  }

  async #tried(
    profile: ProviderProfile,
    fields: TypedFields,
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

/** The form of `/auth/capture`: who may see it, and what is wrong with it. */
export class CaptureFormFlow implements CaptureFlow {
  constructor(
    private readonly deps: StoreParts & {
      readonly judge: ConsentJudge;
      readonly capture: CredentialCapture;
    },
  ) {}

  async form(state: string, cookie: Cookies): Promise<CaptureFormOutcome> {
    const found = this.#find("page", state, { cookie });
    return "kind" in found ? found : { kind: "form", form: this.#formOf(found) };
  }

  schema(state: string): CaptureSchemaOutcome {
    const found = this.#find("capture", state);
    if ("kind" in found) return found;
    return { kind: "schema", providerName: found.profile.name, schema: schemaOf(found.profile) };
  }

  async submit(
    state: string,
    values: URLSearchParams,
    formToken: string,
    cookie: Cookies,
    from: Provenance | undefined,
  ): Promise<SubmitOutcome> {
    const found = this.#find("submit", state, { cookie, formToken });
    if ("kind" in found) return found;
    const entered = enteredValues(found.profile, values);
    const actor = at(browser, from?.origin, from?.via);
    try {
      return (await this.deps.capture.capture(state, entered, actor)).outcome;
    } catch (thrown) {
      const error = errorOf(thrown);
      // It was used or replaced meanwhile, or its provider was edited.
      if (error === undefined) return failureOf(flawOf(thrown), state, this.deps.clock.nowMs());
      if (error === "not_asked") {
        const { connectionId, providerId } = found.pending;
        this.deps.log.warn({ connectionId, providerId, err: thrown }, "credential not tried");
      }
      return { kind: "form", error, form: this.#formOf(found, { entered, thrown }) };
    }
  }

  #find(
    judgedAs: "capture" | "page" | "submit",
    state: string,
    presented?: Presented,
  ): Flawless | ConsentFailure {
    const { judge, store, clock } = this.deps;
    const found = judge.find(judgedAs, store, hashState(state), presented);
    return typeof found === "string" ? failureOf(found, state, clock.nowMs()) : found;
  }

  #formOf(
    { key, pending, profile, secret }: Flawless,
    failed?: { readonly entered: Readonly<Record<string, string>>; readonly thrown: unknown },
  ): CaptureForm {
    const thrown = failed?.thrown;
    const violations = thrown instanceof InvalidArgument ? thrown.violations : [];
    const { title, description } = profile.credentialSchema ?? {};
    return {
      ...asking(pending, profile, this.deps.store.getConnection(pending.connectionId)),
      title: typeof title === "string" ? title : "",
      description: typeof description === "string" ? description : "",
      fields: captureFields(profile, failed?.entered, violations),
      violations: generalViolations(profile, violations),
      formToken: formTokenOf(secret.browserBinding, key),
    };
  }
}

/** What the form itself can show; undefined for what ends the matter. */
function errorOf(thrown: unknown): CaptureError | undefined {
  if (thrown instanceof InvalidArgument) return "invalid";
  if (thrown instanceof Unavailable) return "not_asked";
  return thrown instanceof FailedPrecondition && thrown.reason === "CREDENTIAL_REJECTED"
    ? "rejected"
    : undefined;
}

/** What `capture` has found. @throws what is an error of ours */
function flawOf(thrown: unknown): Flaw {
  if (thrown instanceof NotFound) return "unknown";
  if (!(thrown instanceof FailedPrecondition)) throw thrown;
  return thrown.reason === "PROVIDER_DELETED" ? "profile_deleted" : "unknown";
}
