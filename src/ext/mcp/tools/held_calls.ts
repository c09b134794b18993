import { createHash, randomBytes } from "node:crypto";
import { CommandFailure, type DaemonSession, usageFailure } from "../../../cli/kit.js";
import type { UsableCredential } from "../../../domain/use/use.js";
import { ApprovalService } from "../../../gen/nexus/v1/approval_pb.js";
import { type Clock, delay } from "../../../runtime/runtime.js";
import type { RequestDescription } from "../../../service/messages/messages.js";
import { progressIntervalMs, tellProgress } from "./consent_wait.js";
import { canShowLinks, type Era, keepSession, tellComplete } from "./elicitation.js";
import {
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  type McpServer,
  type ServerContext,
} from "./sdk.js";
import type { ToolAccount } from "./tool.js";

/** Most tokens are there at once. */
const firstLookMs = 500;
const lookMs = 1_000;
/** How long a yes waits for the client to come back. */
const keptMs = 60_000;
/** How long the daemon waits for a person. */
const holdMs = 180_000;
const question = "approval";

/** A call for a token that a person may have to approve. */
export interface TokenCall {
  readonly server: McpServer;
  readonly context: ServerContext;
  readonly session: DaemonSession;
  readonly account: ToolAccount;
  readonly request: RequestDescription;
  readonly era: Era;
  /** @param signal aborts when nobody waits any more */
  readonly read: (signal: AbortSignal) => Promise<UsableCredential>;
}

interface HeldCall {
  /** Of the caller and its request: the yes counts for no other. */
  readonly digest: string;
  readonly token: Promise<UsableCredential>;
  readonly left: AbortController;
}

/**
 * Requests that wait for a person while their clients show the page at which that person answers. The protocol has a client call again
 * after that: the request goes on waiting meanwhile, and its token is for the same call alone.
 */
export class HeldCalls {
  readonly #held = new Map<string, HeldCall>();

  constructor(private readonly clock: Clock) {}

  /** @throws CommandFailure after a no */
  async token(call: TokenCall): Promise<UsableCredential | InputRequiredResult> {
    const { signal } = call.context.mcpReq;
    const id = call.context.mcpReq.requestState<string>();
    const held = id === undefined ? undefined : this.#taken(id, call);
    if (id !== undefined && held) {
      signal.addEventListener("abort", () => held.left.abort(), { once: true });
      const token = await this.#withProgress(held.token, call.context);
      await tellComplete(call.context, call.era, id);
      return token;
    }
    const left = new AbortController();
    const leave = (): void => left.abort();
    signal.addEventListener("abort", leave, { once: true });
    const token = call.read(left.signal);
    const url = canShowLinks(call.server, call.context) ? await this.#pageOf(token, call) : undefined;
    if (url === undefined) return await token;
    // With the question a call ends here, and what it asked for goes on; before 2026 it is the same call.
    if (call.era !== "legacy") signal.removeEventListener("abort", leave);
    return this.#ask(url, { digest: digestOf(call), token, left }, call);
  }

  /** What this call goes on with. @throws CommandFailure where the person did not want to answer */
  #taken(id: string, call: TokenCall): HeldCall | undefined {
    const held = this.#held.get(id);
    this.#held.delete(id);
    if (!held) return undefined;
    const reply = inputResponse(call.context.mcpReq.inputResponses, question);
    const isSame = held.digest === digestOf(call);
    if (isSame && reply.kind === "elicit" && reply.action === "accept") return held;
    held.left.abort();
    if (!isSame) return undefined;
    throw usageFailure("the user did not open the page at which this request is approved: it was not sent");
  }

  /** The page at which it is answered; undefined when that is not needed any more, and where there is none. */
  async #pageOf(
    token: Promise<UsableCredential>,
    { session, request }: TokenCall,
  ): Promise<string | undefined> {
    const settled = new AbortController();
    const settle = (): void => settled.abort();
    token.then(settle, settle);
    await delay(this.clock, firstLookMs, settled.signal);
    while (!settled.signal.aborted) {
      const { findApprovalPage } = session.daemon.of(ApprovalService);
      const found = await session
        .call("find the page of the request", findApprovalPage, { request })
        .catch((error: unknown) => {
          if (error instanceof CommandFailure) return undefined;
          throw error;
        });
      if (found) return found.url;
      await delay(this.clock, lookMs, settled.signal);
    }
    return undefined;
  }

  #ask(url: string, held: HeldCall, { account, context, era }: TokenCall): InputRequiredResult {
    keepSession(context, held.token);
    const id = randomBytes(16).toString("base64url");
    this.#held.set(id, held);
    const over = (): void => {
      this.clock.setTimer(keptMs, () => this.#held.delete(id));
    };
    held.token.then(over, over);
    const message = `Open the page to read the request to ${account.providerName}, and to let it go or refuse it.`;
    const elicitation = inputRequired.elicitUrl({ message, url });
    const params = era === "legacy" ? { ...elicitation.params, elicitationId: id } : elicitation.params;
    return inputRequired({
      inputRequests: { [question]: { ...elicitation, params } as typeof elicitation },
      requestState: id,
    });
  }

  async #withProgress(token: Promise<UsableCredential>, context: ServerContext): Promise<UsableCredential> {
    const settled = new AbortController();
    const settle = (): void => settled.abort();
    token.then(settle, settle);
    const startMs = this.clock.nowMs();
    for (;;) {
      await delay(this.clock, progressIntervalMs, settled.signal);
      if (settled.signal.aborted) return await token;
      const passedMs = this.clock.nowMs() - startMs;
      await tellProgress(context, passedMs, holdMs, "waiting for the person to answer");
    }
  }
}

function digestOf({ context, account, request }: TokenCall): string {
  const caller = context.http?.authInfo?.clientId ?? "";
  const { headers = {}, bodySha256, method, url } = request;
  const body = Buffer.from(bodySha256 ?? []).toString("hex");
  const fields = Object.entries(headers).sort(([one], [other]) => (one < other ? -1 : 1));
  const { providerName, userId, label } = account;
  const whole = JSON.stringify([caller, providerName, userId, label, method, url, fields, body]);
  return createHash("sha256").update(whole).digest("hex");
}
