import type { IncomingMessage } from "node:http";
import type { HeldRequest } from "../../gen/nexus/v1/approval_pb.js";
import { at, type Principal } from "../../model/access/access.js";
import type { ListenAddress } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import {
  addressKey,
  type HttpAnswer,
  HttpListener,
  type Listener,
  type ListenerPlace,
  limitsOf,
  type OnUnexpected,
  splitTarget,
} from "../../server/kit.js";
import { hostOf, hostsOf, isEmbedded, isForm, isOwnForm, isPrefetch } from "../../server/pages/kit.js";
import { RateLimiter, restError } from "../../service/service.js";
import type { Approvals, WaitingApproval } from "./approvals.js";
import { type Approvers, passkeyPrincipalName } from "./approvers.js";
import { type Ceremonies, type PageOrigin, PasskeyRefused } from "./ceremonies.js";
import { pageFiles, passkeyHeaders } from "./page_files.js";
import { approvePath, registerPath } from "./page_paths.js";
import { noticePage, refusedPage, registrationPage, requestPage } from "./passkey_pages.js";

export interface PasskeyListenerOptions extends ListenerPlace {
  readonly listen: ListenAddress;
  /** Where browsers reach it; undefined for localhost. */
  readonly url: string | undefined;
  readonly approvals: Pick<Approvals, "linked" | "decide">;
  readonly approvers: Approvers;
  readonly ceremonies: Ceremonies;
  /** As approvers read it, escaped. */
  readonly messageOf: (waiting: WaitingApproval) => HeldRequest;
  readonly clock: Clock;
  readonly onUnexpected: OnUnexpected;
}

/** A request that was sent to one of our names. */
interface LinkVisit {
  readonly request: IncomingMessage;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly place: PageOrigin;
  /** Of a POST. */
  readonly form: URLSearchParams | undefined;
}

/** The pages for a person with a link: whoever has one reads and denies its request, and only a registered passkey approves it. */
export class PasskeyListener implements Listener {
  readonly #options: PasskeyListenerOptions;
  readonly #http: HttpListener;
  readonly #rates: RateLimiter | undefined;

  constructor(options: PasskeyListenerOptions) {
    this.#options = options;
    const { browserRate, maxFormBytes } = limitsOf(options.bounds);
    this.#rates = browserRate && new RateLimiter(browserRate);
    this.#http = new HttpListener({
      ...options,
      listener: "approvals",
      isForBrowsers: true,
      answer: (request, body) => this.#answer(request, body),
      maxBodyBytes: ({ method }) => (method === "POST" ? maxFormBytes : 0),
      internalError: noticePage("internalError"),
    });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#http.addresses;
  }

  /** Undefined before it is open, and for a Unix socket that no setting gives a URL. */
  get origin(): string | undefined {
    const { url, tls } = this.#options;
    const [address] = this.addresses;
    if (url !== undefined || address?.kind !== "tcp") return url;
    return `${tls ? "https" : "http"}://localhost:${address.port}`;
  }

  async open(): Promise<void> {
    await this.#http.open();
  }

  close(force: AbortSignal): Promise<void> {
    return this.#http.close(force);
  }

  async #answer(request: IncomingMessage, body: Buffer | "too_large"): Promise<HttpAnswer> {
    const key = addressKey(request.socket.remoteAddress) ?? "unix";
    if (this.#rates && !this.#rates.take(key))
      return noticePage("tooFast", { "retry-after": String(Math.ceil(this.#rates.waitMs(key) / 1_000)) });
    const target = splitTarget(request.url);
    const host = hostOf(request);
    const { origin } = this;
    if (!target || host === undefined) return noticePage("badRequest");
    const url = origin === undefined ? undefined : new URL(origin);
    // Another name that leads here may be anybody's (DNS rebinding).
    if (!url || !hostsOf(url).has(host)) return noticePage("misdirected");
    const { method = "", headers } = request;
    const place = { origin: url.origin, rpId: url.hostname };
    const visit = { request, ...target, place };
    if (method === "POST") {
      if (!isForm(headers) || !isOwnForm(headers, url)) return noticePage("foreignRequest");
      if (body === "too_large") return noticePage("tooLarge");
      return await this.#visited({ ...visit, form: new URLSearchParams(body.toString("utf8")) });
    }
    if (method !== "GET" && method !== "HEAD")
      return noticePage("methodNotAllowed", { allow: "GET, HEAD, POST" });
    const file = pageFiles.get(target.path);
    if (file) return file;
    if (target.path === "/favicon.ico") return { status: 204, headers: passkeyHeaders, body: "" };
    if (isPrefetch(headers)) return noticePage("notYet");
    if (isEmbedded(headers)) return noticePage("badRequest");
    return await this.#visited({ ...visit, form: undefined });
  }

  async #visited(visit: LinkVisit): Promise<HttpAnswer> {
    const { path } = visit;
    try {
      if (path === registerPath) return await this.#register(visit);
      const link = path.startsWith(`${approvePath}/`) ? path.slice(approvePath.length + 1) : "";
      return link === "" ? noticePage("notFound") : await this.#decide(visit, link);
    } catch (error) {
      // What no table foresees is thrown on.
      const { status, body } = restError(error);
      return refusedPage(status, (body as { readonly message: string }).message);
    }
  }

  async #decide({ request, path, place, form }: LinkVisit, link: string): Promise<HttpAnswer> {
    const { approvals, ceremonies, messageOf, clock } = this.#options;
    const waiting = approvals.linked(link);
    if (!waiting) return noticePage("gone");
    const shown = (problem?: string): HttpAnswer =>
      requestPage({
        ...{ held: messageOf(waiting), path, nowMs: clock.nowMs(), problem, rpId: place.rpId },
        challenge: ceremonies.forApproval(waiting),
      });
    const answer = form?.get("answer");
    if (!form) return shown();
    const { id, digest } = waiting;
    const from = request.socket.remoteAddress;
    const decided = { id, digest, extent: undefined };
    if (answer === "no") {
      const reason = form.get("reason") ?? "";
      if (!isReason(reason)) return shown("The reason must be one line of at most 300 characters.");
      // Nobody proved who that is: whoever has the link.
      await approvals.decide({ ...decided, approves: false, reason }, at(stranger, from));
      return noticePage("denied");
    }
    if (answer !== "yes") return noticePage("badRequest");
    try {
      const { name } = await ceremonies.approverOf(waiting, signedOf(form), place);
      const approver: Principal = { name: passkeyPrincipalName(name), kind: "browser" };
      await approvals.decide({ ...decided, approves: true }, at(approver, from));
    } catch (error) {
      if (error instanceof PasskeyRefused) return shown(error.message);
      throw error;
    }
    return noticePage("approved");
  }

  async #register({ request, path, query, place, form }: LinkVisit): Promise<HttpAnswer> {
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
      await ceremonies.register(invitation, signedOf(form), place, request.socket.remoteAddress);
    } catch (error) {
      if (error instanceof PasskeyRefused) return shown(error.message);
      throw error;
    }
    return noticePage("registered");
  }
}

/** A person in front of the page of a link, as in the audit log. */
const stranger: Principal = { name: "browser", kind: "browser" };

function signedOf(form: URLSearchParams) {
  return { nonce: form.get("nonce") ?? "", credential: form.get("credential") ?? "" };
}

/** As `DecideHeldRequestRequest.reason`. */
function isReason(text: string): boolean {
  return [...text].length <= 300 && !/\p{Cc}/u.test(text);
}
