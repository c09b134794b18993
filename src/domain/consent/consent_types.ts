import type { JsonObject } from "../../model/json.js";
import type { CaptureField } from "../static_credentials/capture_field.js";

/** A cookie that binds a browser; the listener decides prefix and attributes. */
export interface BrowserBinding {
  readonly name: string;
  readonly value: string;
  readonly maxAgeSeconds: number;
}

/** What the browser listener must do after `/auth/start`. */
export type StartOutcome =
  | {
      readonly kind: "redirect";
      /** The provider's authorization endpoint with the authorization request. */
      readonly location: string;
      readonly binding: BrowserBinding;
    }
  /** A static type: the person enters the credential into the form. */
  | { readonly kind: "capture"; readonly binding: BrowserBinding }
  | ConsentFailure;

/** What the browser listener must do after `/auth/callback`. */
export type FinishOutcome =
  | { readonly kind: "return"; readonly location: string }
  | { readonly kind: "done"; readonly providerName: string }
  | ConsentFailure;

/** A page that says what went wrong; `status` is the HTTP status. */
export interface ConsentFailure {
  readonly kind: "failure";
  readonly status: 400 | 404 | 410 | 429 | 502 | 503;
  /** A stable word. */
  readonly reason: string;
  /** One sentence for a person. Never text of the provider. */
  readonly message: string;
}

/** The consent flow as the browser listener sees it. */
export interface ConsentFlow {
  /** Idempotent: a prefetch or a reload consumes nothing. */
  start(state: string): Promise<StartOutcome>;
  /**
   * Consumes the state, unless the answer is an error of another issuer.
   *
   * @param query the query of the callback, exactly as received
   * @param cookie reads a cookie of the request by the name given in `binding.name`
   * @param origin address of the visitor's socket, for the audit log
   * @param path of the request, below the public URL: an answer to another redirect URI than the request's is refused
   */
  finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    origin: string | undefined,
    path: string,
  ): Promise<FinishOutcome>;
}

/** The form in which a person enters a static credential. */
export interface CaptureForm {
  readonly providerName: string;
  /** Of the schema; empty when it has none. */
  readonly title: string;
  readonly description: string;
  readonly fields: readonly CaptureField[];
  /** Errors of no field in particular. */
  readonly violations: readonly string[];
  /** Shown by the form, sent back with it, and bound to the cookie of this browser. */
  readonly csrf: string;
  /** Where the browser is sent in the end; undefined for a page of ours. */
  readonly returnUrl: string | undefined;
}

/** What the browser listener must do after `GET /auth/capture`. */
export type CaptureFormOutcome = { readonly kind: "form"; readonly form: CaptureForm } | ConsentFailure;

/** What a program asks that shows a form of its own. */
export type CaptureSchemaOutcome =
  | { readonly kind: "schema"; readonly providerName: string; readonly schema: JsonObject }
  | ConsentFailure;

/** What the browser listener must do after `POST /auth/capture`; `form` shows what has to be fixed. */
export type SubmitOutcome =
  | FinishOutcome
  | {
      readonly kind: "form";
      /** 422: the values; 503: the provider could not be asked. */
      readonly status: 422 | 503;
      readonly form: CaptureForm;
    };

/** The capture form as the browser listener sees it. `cookie` and `origin` are as in `ConsentFlow`. */
export interface CaptureFlow {
  /** Idempotent. */
  form(state: string, cookie: (name: string) => string | undefined): Promise<CaptureFormOutcome>;
  /** The fields to ask for; whoever has the state may know them. Idempotent. */
  schema(state: string): CaptureSchemaOutcome;
  /** Consumes the state if the values are good. */
  submit(
    state: string,
    values: URLSearchParams,
    cookie: (name: string) => string | undefined,
    origin: string | undefined,
  ): Promise<SubmitOutcome>;
}
