import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ConsentRequired } from "../../../gen/nexus/v1/token_pb.js";
import { formatDuration } from "../../../model/model.js";
import { acquire, awaitPerson, linkId, maxWaitSeconds, type PersonOutcome } from "./consent_wait.js";
import { canShowLinks, type Era, tellComplete } from "./elicitation.js";
import { type InputRequiredResult, inputRequired, inputResponse, type McpServer, z } from "./sdk.js";
import {
  accountOf,
  accountShape,
  answering,
  jsonResult,
  onProvider,
  type ToolAccount,
  type ToolAnswer,
  type ToolDeps,
} from "./tool.js";

/** Clients wait a minute for an answer where nothing extends that. */
const defaultWaitSeconds = 45;
/** The name of the one question to the user. */
const question = "consent";

const description = `Connects the user's account at a provider. If it is already connected and has the requested scopes, it returns at once. Otherwise the user must open a link. A client that can show links asks the user itself, and the call waits. Other clients get the link as auth_url, or as verification_uri with a user_code. Show it only to the user, then call connection_status with wait_seconds.`;

/** `connect` */
export function addConnectTool(server: McpServer, deps: ToolDeps, era: Era): void {
  const { policy, sessionOf, clock } = deps;
  const inputSchema = z.strictObject({
    ...accountShape(policy),
    scopes: z
      .array(z.string().min(1).max(256))
      .max(100)
      .default([])
      .describe("scopes that the token must have; none for the provider's defaults"),
    wait_seconds: z
      .number()
      .int()
      .min(0)
      .max(maxWaitSeconds)
      .default(defaultWaitSeconds)
      .describe("how long to wait for a person who was shown the link by the client"),
  });
  server.registerTool(
    "connect",
    {
      title: "Connect an account",
      description,
      inputSchema,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
    },
    (given, context) =>
      answering(async () => {
        const account = await accountOf(deps, context, given);
        const session = sessionOf(context);
        const { scopes, wait_seconds } = given;
        const wait = { context, session, clock, account, scopes, waitMs: wait_seconds * 1000 };
        const consent = await onProvider(account, () => acquire(wait));
        const requestState = context.mcpReq.requestState<string>();
        if (consent === undefined) {
          await tellComplete(context, era, requestState);
          return connected(account);
        }
        if (!canShowLinks(server, context)) return jsonResult(linkAnswer(account, consent, clock.nowMs()));
        const reply = inputResponse(context.mcpReq.inputResponses, question);
        if (reply.kind !== "elicit") return ask(account, consent, era);
        if (reply.action !== "accept") return declined(account);
        const outcome = await awaitPerson(wait, requestState);
        if (outcome.kind !== "waiting") await tellComplete(context, era, requestState);
        return answerOf(account, outcome);
      }, given),
  );
}

/** Asks the client to show the link. The state says which link it was; forged, it would change the words of the answer alone. */
function ask(account: ToolAccount, consent: ConsentRequired, era: Era): InputRequiredResult {
  const message = `Open the link to connect your account at ${account.providerName}. ${sentenceOf(consent)}`;
  // Without the one, a device authorization (RFC 8628 section 3.3).
  const url = consent.authUrl || consent.verificationUriComplete || consent.verificationUri;
  const request = inputRequired.elicitUrl({ message, url });
  const elicitationId = linkId(consent);
  // Until 2025-11-25 the elicitation has an id, by which its end is reported.
  const params = era === "legacy" ? { ...request.params, elicitationId } : request.params;
  return inputRequired({
    inputRequests: { [question]: { ...request, params } as typeof request },
    requestState: elicitationId,
  });
}

function answerOf(account: ToolAccount, outcome: PersonOutcome): ToolAnswer {
  if (outcome.kind === "connected") return connected(account);
  if (outcome.kind === "waiting") {
    const next = "call connection_status with wait_seconds to go on waiting";
    return jsonResult({ ...named(account), status: "waiting_for_person", next });
  }
  const next = "inform the user; call connect again if the user wants to try again";
  return jsonResult({ ...named(account), status: "not_connected", reason: outcome.consent.reason, next });
}

function connected(account: ToolAccount): ToolAnswer {
  return jsonResult({ ...named(account), status: "connected", next: "call_api can be used now" });
}

function declined(account: ToolAccount): ToolAnswer {
  const next = "the user does not want to open the link: do not ask again before the user wants it";
  return jsonResult({ ...named(account), status: "declined", next });
}

function linkAnswer(account: ToolAccount, consent: ConsentRequired, nowMs: number): Record<string, unknown> {
  const { reason, expiresAt } = consent;
  return {
    ...named(account),
    status: "waiting_for_person",
    reason,
    ...linkFields(consent),
    ...(expiresAt ? { link_ends_in: formatDuration(timestampMs(expiresAt) - nowMs) } : {}),
    next: "show the link to the user and to nobody else, with the code where there is one, then call connection_status with wait_seconds",
  };
}

function linkFields(consent: ConsentRequired): Record<string, string> {
  const { authUrl, verificationUri, verificationUriComplete, userCode } = consent;
  if (authUrl !== "") return { auth_url: authUrl };
  const complete =
    verificationUriComplete === "" ? {} : { verification_uri_complete: verificationUriComplete };
  return { verification_uri: verificationUri, user_code: userCode, ...complete };
}

function named({ providerName, label }: ToolAccount): Record<string, string> {
  return { provider: providerName, ...(label === "" ? {} : { label }) };
}

function sentenceOf({ reason, userCode }: ConsentRequired): string {
  const code = userCode === "" ? "" : `The code to enter there is ${userCode}. `;
  if (reason === "not_connected") return code;
  if (reason === "access_denied") return `${code}The last request was refused.`;
  return `${code}${reason === "scopes_missing" ? "More permissions are needed than before." : `(${reason})`}`;
}
