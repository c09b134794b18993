import { at, browser, type Provenance } from "../../../model/access/principal.js";
import {
  DataLoss,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  Unavailable,
} from "../../../model/errors.js";
import { isExpiredState } from "../../../model/ids.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Log } from "../../../runtime/log.js";
import type { CredentialVault } from "../../credentials/credential_vault.js";
import { captureFields, enteredValues, generalViolations } from "../../providers/static/capture_fields.js";
import { asking, bindingName, formTokenOf, sameText } from "../consent_result.js";
import type {
  CaptureError,
  CaptureFlow,
  CaptureForm,
  CaptureFormOutcome,
  CaptureSchemaOutcome,
  ConsentFailure,
  SubmitOutcome,
} from "../consent_types.js";
import type { CaptureRequest, CredentialCapture } from "./capture.js";

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
