import { createHmac } from "node:crypto";
import { at, browser } from "../../model/access/principal.js";
import { DataLoss, FailedPrecondition, InvalidArgument, NotFound, Unavailable } from "../../model/errors.js";
import type { Log } from "../../runtime/log.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import { csrfField } from "../static_credentials/capture_field.js";
import { captureFields, enteredValues, generalViolations } from "../static_credentials/capture_fields.js";
import type { CaptureRequest, CredentialCapture } from "./capture.js";
import { bindingName, changedProvider, sameText, unknownRequest } from "./consent_result.js";
import type {
  CaptureFlow,
  CaptureForm,
  CaptureFormOutcome,
  CaptureSchemaOutcome,
  ConsentFailure,
  SubmitOutcome,
} from "./consent_types.js";

type Cookies = (name: string) => string | undefined;
type Found = { readonly kind: "found"; readonly request: CaptureRequest; readonly csrf: string };

/** The form of `/auth/capture`: who may see it, and what a person is told. */
export class CaptureFormFlow implements CaptureFlow {
  readonly #capture: Pick<CredentialCapture, "find" | "schema" | "capture">;
  readonly #vault: Pick<CredentialVault, "openAuthorization">;
  readonly #log: Log;

  constructor(options: {
    capture: Pick<CredentialCapture, "find" | "schema" | "capture">;
    vault: Pick<CredentialVault, "openAuthorization">;
    log: Log;
  }) {
    this.#capture = options.capture;
    this.#vault = options.vault;
    this.#log = options.log;
  }

  async form(state: string, cookie: Cookies): Promise<CaptureFormOutcome> {
    const found = this.#find(state, cookie);
    if (found.kind === "failure") return found;
    return { kind: "form", form: formOf(found, undefined) };
  }

  schema(state: string): CaptureSchemaOutcome {
    try {
      return { kind: "schema", ...this.#capture.schema(state) };
    } catch (error) {
      const failure = failureOf(error);
      if (!failure) throw error;
      return failure;
    }
  }

  async submit(
    state: string,
    values: URLSearchParams,
    cookie: Cookies,
    origin: string | undefined,
  ): Promise<SubmitOutcome> {
    const found = this.#find(state, cookie);
    if (found.kind === "failure") return found;
    const { pending, profile } = found.request;
    const context = { connectionId: pending.connectionId, providerId: profile.id };
    if (!sameText(values.get(csrfField) ?? "", found.csrf)) {
      this.#log.warn(context, "capture form without its token");
      return otherBrowser;
    }
    const entered = enteredValues(profile, values);
    try {
      const { redirectUrl } = await this.#capture.capture(state, entered, at(browser, origin));
      if (redirectUrl !== undefined) return { kind: "return", location: redirectUrl };
      return { kind: "done", providerName: profile.name };
    } catch (error) {
      const ended = failureOf(error);
      if (ended) return ended;
      const status = error instanceof Unavailable ? 503 : 422;
      if (status === 503) {
        this.#log.warn({ ...context, error: (error as Error).message }, "credential not tried");
      }
      return { kind: "form", status, form: formOf(found, { entered, error }) };
    }
  }

  #find(state: string, cookie: Cookies): Found | ConsentFailure {
    try {
      const request = this.#capture.find(state);
      const { connectionId, providerId } = request.pending;
      const { browserBinding } = this.#vault.openAuthorization(request.stateHash, request.pending);
      if (!sameText(cookie(bindingName(request.stateHash)) ?? "", browserBinding)) {
        this.#log.warn({ connectionId, providerId }, "capture form from another browser");
        return otherBrowser;
      }
      return { kind: "found", request, csrf: csrfToken(browserBinding, request.stateHash) };
    } catch (error) {
      const failure = error instanceof DataLoss ? unknownRequest : failureOf(error);
      if (!failure) throw error;
      return failure;
    }
  }
}

/** A page that ends the matter; undefined for what the form itself can show. @throws what is an error of ours */
function failureOf(error: unknown): ConsentFailure | undefined {
  if (error instanceof NotFound) return unknownRequest;
  if (error instanceof InvalidArgument || error instanceof Unavailable) return undefined;
  if (!(error instanceof FailedPrecondition)) throw error;
  if (error.reason === "CREDENTIAL_REJECTED") return undefined;
  return error.reason === "PROVIDER_DELETED" ? changedProvider : unknownRequest;
}

/** Known only to who has the cookie of this request. */
function csrfToken(browserBinding: string, stateHash: string): string {
  return createHmac("sha256", browserBinding).update(`capture form ${stateHash}`).digest("base64url");
}

function formOf(
  { request: { pending, profile }, csrf }: Found,
  failed: { readonly entered: Readonly<Record<string, string>>; readonly error: unknown } | undefined,
): CaptureForm {
  const error = failed?.error;
  const violations = error instanceof InvalidArgument ? error.violations : [];
  const { title, description } = profile.credentialSchema ?? {};
  return {
    providerName: profile.name,
    title: typeof title === "string" ? title : "",
    description: typeof description === "string" ? description : "",
    fields: captureFields(profile, failed?.entered, violations),
    violations: [...trialViolation(error, profile.name), ...generalViolations(profile, violations)],
    csrf,
    returnUrl: pending.returnUrl,
  };
}

function trialViolation(error: unknown, providerName: string): string[] {
  if (error instanceof FailedPrecondition) {
    return [`${providerName} did not accept these values. Check them and enter them once more.`];
  }
  if (error instanceof Unavailable) {
    return [
      `${providerName} could not be asked whether these values are right. Wait a minute and enter them again.`,
    ];
  }
  return [];
}

const otherBrowser: ConsentFailure = {
  kind: "failure",
  status: 400,
  reason: "state_verification_failed",
  message:
    "This form belongs to another browser window, or your browser keeps no cookies. Open the link of your application again.",
};
