import type { Provenance } from "../../model/access/principal.js";
import type { AskedScopes } from "../../model/connections/step_up.js";
import type { Account } from "../../model/credentials/account.js";
import type { JsonObject } from "../../model/json.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { CaptureField } from "../providers/static/capture_field.js";
import type { QueuedRevocation } from "../revocation/revocation_queue.js";

/** A cookie that binds a browser; the listener decides prefix and attributes. */
export interface BrowserBinding {
  readonly name: string;
  readonly value: string;
  readonly maxAgeSeconds: number;
}

/** The provider that a page speaks of. */
export interface NamedProvider {
  readonly providerName: string;
  /** Name of the template that its profile was made from; empty, or left out, when there is none. */
  readonly template?: string | undefined;
}

/** Whose application asks a person, and for whom. */
export interface Asker {
  /** Name of the principal that made the request; empty when it is not known. */
  readonly requestedBy?: string | undefined;
  /** The application's name for the user. */
  readonly userId?: string | undefined;
  /** Where the browser is sent in the end; undefined for a page of ours. */
  readonly returnUrl: string | undefined;
}

/** A step-up: an API refused the token that there is. */
export interface StepUpRequest extends AskedScopes, NamedProvider, Asker {
  /** Comes back with the form that says no; bound to the cookie of this browser. */
  readonly formToken: string;
}

/** What the browser listener must do after `/auth/start`. */
export type StartOutcome =
  | {
      readonly kind: "redirect";
      /** The provider's authorization endpoint with the authorization request. */
      readonly location: string;
      readonly binding: BrowserBinding;
    }
  /** What the person sees before the provider is asked; the request to it is made when the person has agreed. */
  | { readonly kind: "step_up"; readonly binding: BrowserBinding; readonly stepUp: StepUpRequest }
  /** A static type: the person enters the credential into the form. */
  | { readonly kind: "capture"; readonly binding: BrowserBinding }
  | ConsentFailure;

/** A consent that is given, and that no application waits for. */
export interface ConsentDone extends NamedProvider, Omit<Asker, "returnUrl"> {
  readonly kind: "done";
  /** What was granted. */
  readonly scopes?: readonly string[];
  /** Undefined when the provider did not say, and for static types. */
  readonly account?: Account | undefined;
  /** The connection was another account's before. */
  readonly isOther?: boolean | undefined;
}

/** The person declined a step-up: the connection is as it was. */
export interface StepUpDeclined extends NamedProvider {
  readonly kind: "declined";
}

/** What the browser listener must do after `/auth/callback`. */
export type FinishOutcome =
  | { readonly kind: "return"; readonly location: string }
  | StepUpDeclined
  | ConsentDone
  | ConsentFailure;

/** Why a link or an answer leads nowhere. What a person reads, and the HTTP status, are those of the listener. */
export type ConsentFailure =
  /** The link was used, was replaced, or never was one. */
  | { readonly kind: "unknown_request" }
  | { readonly kind: "expired" }
  /** The profile was changed or deleted after the link was made. */
  | { readonly kind: "provider_changed" }
  | { readonly kind: "provider_unreachable" }
  /** The provider answers, and the profile and its answer do not go together, or it must not be called. */
  | { readonly kind: "provider_misconfigured" }
  /** An answer without `state`, which says of no link whose it is: nothing is over. */
  | { readonly kind: "denied_without_state" }
  | { readonly kind: "answer_without_state" }
  /** An error whose `iss` is another's (RFC 9207 section 2.4): nothing is over. */
  | { readonly kind: "foreign_answer" }
  /** The form of another browser, or without its token. */
  | { readonly kind: "foreign_form" }
  | RefusedConsent;

/** A consent that is over. */
export interface RefusedConsent extends NamedProvider {
  readonly kind: "refused";
  readonly reason: ProblemReason;
  /** What the provider or the protocol calls it, for anyone who is asked for help. */
  readonly word: string;
  /** What more there is to say, in words of ours. */
  readonly detail?: string | undefined;
  /** Set when the provider had granted already. */
  readonly grant?: DroppedGrant | undefined;
  /** Where the audit log has more. */
  readonly connectionId?: string;
  /** The account that the connection belongs to, when another one consented. */
  readonly expected?: Account | undefined;
}

/** What becomes of a grant whose answer cannot be used; `kept` since the connection holds one of the same account. */
export type DroppedGrant = QueuedRevocation | "kept";

/** The consent flow as the browser listener sees it. */
export interface ConsentFlow {
  /**
   * Idempotent: a prefetch or a reload consumes nothing.
   *
   * @param agreed whether this browser was shown the step-up and its person went on, or there is no person to show it to
   */
  start(state: string, agreed?: (binding: BrowserBinding) => boolean): Promise<StartOutcome>;
  /**
   * The person says no to a step-up: consumes the state, if the form comes from the page that `start` showed.
   *
   * @param formToken as `StepUpRequest` has it
   */
  decline(
    state: string,
    formToken: string,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
  ): Promise<FinishOutcome>;
  /**
   * Consumes the state, unless the answer is an error of another issuer.
   *
   * @param query the query of the callback, exactly as received
   * @param cookie reads a cookie of the request by the name given in `binding.name`
   * @param from of the visitor, for the audit log
   * @param path of the request, below the public URL: an answer to another redirect URI than the request's is refused
   */
  finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
    path: string,
  ): Promise<FinishOutcome>;
}

/** The form in which a person enters a static credential. */
export interface CaptureForm extends NamedProvider, Asker {
  /** Of the schema; empty when it has none. */
  readonly title: string;
  readonly description: string;
  readonly fields: readonly CaptureField[];
  /** Errors of no field in particular. */
  readonly violations: readonly string[];
  /** Comes back with the form; bound to the cookie of this browser. */
  readonly formToken: string;
}

/** What the browser listener must do after `GET /auth/capture`. */
export type CaptureFormOutcome = { readonly kind: "form"; readonly form: CaptureForm } | ConsentFailure;

/** What a program asks that shows a form of its own. */
export type CaptureSchemaOutcome =
  | { readonly kind: "schema"; readonly providerName: string; readonly schema: JsonObject }
  | ConsentFailure;

/** Values break the schema, the provider did not accept them, or it could not be asked. */
export type CaptureError = "invalid" | "rejected" | "not_asked";

/** What the browser listener must do after `POST /auth/capture`; `form` shows what has to be fixed. */
export type SubmitOutcome =
  | FinishOutcome
  | { readonly kind: "form"; readonly error: CaptureError; readonly form: CaptureForm };

/** The capture form as the browser listener sees it. `cookie` and `from` are as in `ConsentFlow`. */
export interface CaptureFlow {
  /** Idempotent. */
  form(state: string, cookie: (name: string) => string | undefined): Promise<CaptureFormOutcome>;
  /** The fields to ask for; anyone who has the state may know them. Idempotent. */
  schema(state: string): CaptureSchemaOutcome;
  /** Consumes the state if the values are good. @param formToken as `CaptureForm` has it */
  submit(
    state: string,
    values: URLSearchParams,
    formToken: string,
    cookie: (name: string) => string | undefined,
    from: Provenance | undefined,
  ): Promise<SubmitOutcome>;
}

/** Where the link of a notification leads. */
export type FollowOutcome =
  | { readonly kind: "consent"; readonly authUrl: string }
  | { readonly kind: "unknown_request" | "expired" | "provider_unreachable" | "provider_misconfigured" };
