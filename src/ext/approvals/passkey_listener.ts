import type { HeldPlan, HeldRequest } from "../../gen/nexus/v1/approval_pb.js";
import { at, type Principal, type Provenance } from "../../model/access/access.js";
import { type ListenAddress, NotFound } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import type { HttpAnswer, Listener, ListenerPlace, OnUnexpected } from "../../server/kit.js";
import {
  BrowserListener,
  type BrowserRequest,
  isEmbedded,
  isPrefetch,
  type LeaderPage,
  sentForm,
} from "../../server/pages/kit.js";
import { restError } from "../../service/service.js";
import type { Approvals, WaitingApproval } from "./approvals.js";
import type { ApproverAnswer } from "./approver_answer.js";
import { type Approvers, passkeyPrincipalName } from "./approvers.js";
import { type Ceremonies, type PageOrigin, PasskeyRefused } from "./ceremonies.js";
import { pageFiles, passkeyHeaders } from "./page_files.js";
import { approvePath, listenerName, registerPath } from "./page_paths.js";
import { noticePage, planPage, refusedPage, registrationPage, requestPage } from "./passkey_pages.js";
import type { PlanEntry, Plans } from "./plans.js";

export interface PasskeyListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** Where browsers reach it; undefined for localhost. */
  readonly url: string | undefined;
  readonly approvals: Pick<Approvals, "linked" | "decide">;
  readonly plans: Pick<Plans, "linked" | "decide">;
  readonly approvers: Approvers;
  readonly ceremonies: Ceremonies;
  /** As approvers read it, escaped. */
  readonly messageOf: (waiting: WaitingApproval) => HeldRequest;
  readonly planMessageOf: (entry: PlanEntry) => HeldPlan;
  readonly clock: Clock;
  /** Where another daemon acts: asks that one. */
  readonly leaderPage: LeaderPage | undefined;
  readonly onUnexpected: OnUnexpected;
}

interface LinkVisit extends Pick<BrowserRequest, "path" | "query"> {
  readonly from: Partial<Provenance>;
  readonly place: PageOrigin;
  /** Of a POST. */
  readonly form: URLSearchParams | undefined;
}

/** The pages for a person with a link: whoever has one reads and denies its request, and only a registered passkey approves it. */
export class PasskeyListener implements Listener {
  readonly #options: PasskeyListenerOptions;
  readonly #browsers: BrowserListener;

  constructor(options: PasskeyListenerOptions) {
    this.#options = options;
    const { url, tls } = options;
    this.#browsers = new BrowserListener({
      ...options,
      listener: listenerName,
      // A passkey belongs to a name, and to no address of a machine.
      urlOf: (bound) =>
        url ?? (bound.kind === "tcp" ? `${tls ? "https" : "http"}://localhost:${bound.port}` : undefined),
      answer: (visit) => this.#answer(visit),
      refused: ({ kind }) => noticePage(kind),
      internalError: noticePage("internalError"),
    });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#browsers.addresses;
  }

  /** Undefined before it is open, and for a Unix socket that no setting gives a URL. */
  get origin(): string | undefined {
    return this.#browsers.url?.origin;
  }

  async open(): Promise<void> {
    await this.#browsers.open();
  }

  close(force: AbortSignal): Promise<void> {
    return this.#browsers.close(force);
  }

  async #answer(visit: BrowserRequest): Promise<HttpAnswer> {
    const { path, headers, method } = visit;
    if (method !== "GET" && method !== "HEAD" && method !== "POST")
      return noticePage("methodNotAllowed", { allow: "GET, HEAD, POST" });
    if (method !== "POST") {
      const file = pageFiles.get(path);
      if (file) return file;
      if (path === "/favicon.ico") return { status: 204, headers: passkeyHeaders, body: "" };
      if (isPrefetch(headers)) return noticePage("notYet");
      if (isEmbedded(headers)) return noticePage("badRequest");
    }
    const own = () => this.page(visit);
    try {
      return await (this.#options.leaderPage?.(visit, own, listenerName) ?? own());
    } catch (error) {
      return refusal(error);
    }
  }

  /** The page of a visit here, or at a hub that asks this one. */
  async page({ method, path, query, headers, body, origin, via }: BrowserRequest): Promise<HttpAnswer> {
    const url = this.#browsers.url;
    if (!url) return noticePage("notFound");
    const visit = { path, query, from: { origin, via }, place: { origin: url.origin, rpId: url.hostname } };
    if (method !== "POST") return await this.#visited({ ...visit, form: undefined });
    const form = sentForm(headers, url, body);
    if (form === "no_form" || form === "foreign") return noticePage("foreignRequest");
    return form === "too_large" ? noticePage("tooLarge") : await this.#visited({ ...visit, form });
  }

  async #visited(visit: LinkVisit): Promise<HttpAnswer> {
    const { path } = visit;
    try {
      if (path === registerPath) return await this.#register(visit);
      const link = path.startsWith(`${approvePath}/`) ? path.slice(approvePath.length + 1) : "";
      return link === "" ? noticePage("notFound") : await this.#decide(visit, link);
    } catch (error) {
      return refusal(error);
    }
  }

  async #decide({ path, place, form, from }: LinkVisit, link: string): Promise<HttpAnswer> {
    const { approvals, plans, ceremonies, messageOf, planMessageOf, clock } = this.#options;
    const waiting = approvals.linked(link) ?? plans.linked(link);
    if (!waiting) return noticePage("gone");
    const isPlan = "record" in waiting;
    const shown = (problem?: string): HttpAnswer => {
      const challenge = ceremonies.forApproval(waiting);
      const form = { path, nowMs: clock.nowMs(), problem, rpId: place.rpId, challenge };
      return isPlan
        ? planPage({ ...form, held: planMessageOf(waiting) })
        : requestPage({ ...form, held: messageOf(waiting) });
    };
    const answer = form?.get("answer");
    if (!form) return shown();
    const { id, digest } = isPlan ? planAnswerOf(waiting) : waiting;
    const decide = async (
      given: Pick<ApproverAnswer, "approves" | "reason">,
      approver: Principal,
    ): Promise<number> => {
      const whole = { ...given, id, digest, extent: undefined };
      if (!isPlan) return await approvals.decide(whole, approver);
      // It can have ended while the passkey was verified.
      if (!(await plans.decide(whole, approver))) throw new NotFound("request");
      return 0;
    };
    if (answer === "no") {
      const reason = form.get("reason") ?? "";
      if (!isReason(reason)) return shown("The reason must be one line of at most 300 characters.");
      // Nobody proved who that is: whoever has the link.
      await decide({ approves: false, reason }, at(stranger, from.origin, from.via));
      return noticePage(isPlan ? "planDenied" : "denied");
    }
    if (answer !== "yes") return noticePage("badRequest");
    try {
      const { name } = await ceremonies.approverOf(waiting, signedOf(form), place);
      const approver: Principal = { name: passkeyPrincipalName(name), kind: "browser" };
      const missing = await decide({ approves: true }, at(approver, from.origin, from.via));
      if (missing > 0) return noticePage("approvedInPart");
    } catch (error) {
      if (error instanceof PasskeyRefused) return shown(error.message);
      throw error;
    }
    return noticePage(isPlan ? "planApproved" : "approved");
  }

  async #register({ path, query, place, form, from }: LinkVisit): Promise<HttpAnswer> {
    const { approvers, ceremonies } = this.#options;
    const code = (form ?? query).get("code") ?? "";
    const invitation = approvers.invitationOf(code);
    if (!invitation) return noticePage("usedLink");
    const shown = (problem?: string): HttpAnswer => {
      const challenge = ceremonies.forRegistration(invitation);
      return registrationPage({ invitation, code, path, challenge, rpId: place.rpId, problem });
    };
    if (!form) return shown();
    try {
      await ceremonies.register(invitation, signedOf(form), place, from);
    } catch (error) {
      if (error instanceof PasskeyRefused) return shown(error.message);
      throw error;
    }
    return noticePage("registered");
  }
}

/** What no table foresees is thrown on. */
function refusal(error: unknown): HttpAnswer {
  const { status, body } = restError(error);
  return refusedPage(status, (body as { readonly message: string }).message);
}

/** A person in front of the page of a link, as in the audit log. */
const stranger: Principal = { name: "browser", kind: "browser" };

function planAnswerOf({ record: { id, digest } }: PlanEntry) {
  return { id, digest: Buffer.from(digest).toString("hex") };
}

function signedOf(form: URLSearchParams) {
  return { nonce: form.get("nonce") ?? "", credential: form.get("credential") ?? "" };
}

/** As `DecideHeldRequestRequest.reason`. */
function isReason(text: string): boolean {
  return [...text].length <= 300 && !/\p{Cc}/u.test(text);
}
