import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AddApproverResponseSchema,
  ApprovalService,
  ApproverSchema,
  DecideHeldRequestResponseSchema,
  FindApprovalPageResponseSchema,
  type HeldPlan,
  HeldPlanSchema,
  type HeldRequest,
  HeldRequestSchema,
  ListApproversResponseSchema,
  ListHeldRequestsResponseSchema,
  ListStopsResponseSchema,
  type Plan,
  PlanSchema,
  PlanState,
  RemoveApproverResponseSchema,
  RequestPlanResponseSchema,
  StopPrincipalResponseSchema,
} from "../../gen/nexus/v1/approval_pb.js";
import type { Extent } from "../../model/access/access.js";
import { FailedPrecondition, InvalidArgument, NotFound, PermissionDenied } from "../../model/model.js";
import { describedRequestOf, present, sessionLabels } from "../../service/messages/messages.js";
import { defineService, type ServiceDefinition, type ServiceImplementation } from "../../service/service.js";
import type { Approvals, WaitingApproval } from "./approvals.js";
import { schemeOf } from "./held_requests.js";
import type { PasskeyPages } from "./open_passkeys.js";
import { registerPath } from "./page_paths.js";
import { isWaiting, type PlanEntry, type Plans } from "./plans.js";
import type { Stops } from "./stops.js";

/** The pages that passkeys approve at. */
type Passkeys = Pick<PasskeyPages, "approvers" | "needsPasskey" | "origin" | "urlOf">;

export function approvalService(
  approvals: Approvals,
  plans: Plans,
  stops: Stops,
  passkeys: Passkeys,
): ServiceDefinition {
  const { needsPasskey } = passkeys;
  const shown = (waiting: WaitingApproval): HeldRequest => {
    const passkeyUrl = passkeys.urlOf(approvals.linkOf(waiting)) ?? "";
    return { ...messageOf(waiting), passkeyUrl, needsPasskey };
  };
  return defineService(ApprovalService, {
    async listHeldRequests({ link, brief }) {
      const waiting = link === "" ? approvals.list() : [approvals.linked(link) ?? []].flat();
      const entries = link === "" ? plans.list() : [plans.linked(link) ?? []].flat();
      return create(ListHeldRequestsResponseSchema, {
        requests: waiting.map((each) => shown(brief ? withoutContent(each) : each)),
        plans: entries.map((entry) => {
          const passkeyUrl = (isWaiting(entry) && passkeys.urlOf(plans.linkOf(entry))) || "";
          return { ...planMessageOf(entry), passkeyUrl, needsPasskey };
        }),
      });
    },

    async findApprovalPage(message, { principal }) {
      const request = describedRequestOf(message.request);
      if (!request) throw new NotFound("request");
      const { url, waiting } = approvals.pageOf(request, principal);
      return create(FindApprovalPageResponseSchema, { url, expiresAt: timestampFromMs(waiting.expiresAtMs) });
    },

    async decideHeldRequest({ id, digest, approve: approves, extent, reason }, { principal }) {
      if (approves && needsPasskey) throw new PermissionDenied(needsPasskeyText);
      const answer = { id, digest: Buffer.from(digest).toString("hex"), approves, reason };
      const whole = { ...answer, extent: (extent || undefined) as Extent | undefined };
      const isPlan = await plans.decide(whole, principal);
      const missing = isPlan ? 0 : await approvals.decide(whole, principal);
      return create(DecideHeldRequestResponseSchema, { missing });
    },

    ...planCalls(plans),
    ...approverCalls(passkeys),

    async stopPrincipal({ principal: name, lift }, { principal }) {
      if (!lift && name === `uid:${process.getuid?.()}`)
        throw new InvalidArgument([{ field: "principal", description: ofOwner }]);
      await stops.put(name, !lift, principal);
      return create(StopPrincipalResponseSchema);
    },

    async listStops() {
      const listed = stops.list().map(({ principal, stoppedAtMs, stoppedBy }) => {
        return { principal, stoppedAt: timestampFromMs(Number(stoppedAtMs)), stoppedBy };
      });
      return create(ListStopsResponseSchema, { stops: listed });
    },
  });
}

/** The RPC of agents. */
function planCalls(plans: Plans): Pick<ServiceImplementation<typeof ApprovalService>, "requestPlan"> {
  return {
    async requestPlan({ subject }, { principal }) {
      const { case: which, value } = subject;
      if (which === undefined) throw new NotFound("request");
      const entry = which === "id" ? plans.find(value, principal) : await plans.request(value, principal);
      const { id, approved, reason, expiresAtMs } = entry.record;
      const decided = approved ? PlanState.APPROVED : PlanState.DENIED;
      return create(RequestPlanResponseSchema, {
        ...{ id, reason, state: entry.isDecided ? decided : PlanState.WAITING },
        ...{ url: plans.urlOf(entry) ?? "", expiresAt: timestampFromMs(Number(expiresAtMs)) },
      });
    },
  };
}

/** The RPCs that register passkeys. */
function approverCalls(
  passkeys: Passkeys,
): Pick<ServiceImplementation<typeof ApprovalService>, "addApprover" | "listApprovers" | "removeApprover"> {
  const { approvers } = passkeys;
  return {
    async addApprover({ name }, { principal }) {
      const { origin } = passkeys;
      if (origin === undefined)
        throw new FailedPrecondition(
          "NO_PASSKEY_PAGE",
          "no browser reaches the pages for passkeys: set NEXUS_APPROVALS_LISTEN to host:port and NEXUS_APPROVALS_URL to where phones reach it, and restart the daemon",
        );
      const { code, expiresAtMs } = approvers.invite(name, principal);
      const url = `${origin}${registerPath}?${new URLSearchParams({ code: code.reveal() })}`;
      return create(AddApproverResponseSchema, { url, expiresAt: timestampFromMs(expiresAtMs) });
    },

    async listApprovers() {
      const listed = approvers.list().map(({ name, credentialId, addedAtMs, addedBy }) => {
        const addedAt = timestampFromMs(Number(addedAtMs));
        return create(ApproverSchema, { name, credentialId, addedAt, addedBy });
      });
      return create(ListApproversResponseSchema, { approvers: listed });
    },

    async removeApprover({ name }, { principal }) {
      await approvers.remove(name, principal);
      return create(RemoveApproverResponseSchema);
    },
  };
}

const ofOwner =
  "is the user that nexusd runs as, who owns it: give the agent an API key, or run it as another user";

const needsPasskeyText =
  "this daemon lets nobody approve without a passkey: open the page of the request (`nexusd approvals list --json` has it as passkey_url)";

/** Its line, and who asks: up to 100 bodies are much to escape for a count. */
function withoutContent(waiting: WaitingApproval): WaitingApproval {
  const { request, ...held } = waiting.held;
  return {
    ...waiting,
    held: { ...held, request: { ...request, headers: undefined, body: undefined }, labels: [] },
  };
}

export function messageOf(waiting: WaitingApproval): HeldRequest {
  const { id, digest, held, sinceMs, expiresAtMs, isLeft, approvedBy } = waiting;
  const { request, principal, connection, rule, labels = [] } = held;
  const { method = "", host = "", target = "", headers, body, session = "" } = request;
  const fields = [...(headers ?? [])].sort(([one], [other]) => (one < other ? -1 : 1));
  return create(HeldRequestSchema, {
    ...{ id, digest: Buffer.from(digest, "hex"), method: escaped(method) },
    url: escaped(`${schemeOf(request)}://${host}${target}`),
    headers: fields.map(([name, value]) => ({ name: escaped(name), value: escaped(value) })),
    bodySize: BigInt(body?.size ?? 0),
    bodySha256: Buffer.from(body?.digest ?? "", "hex"),
    bodyText: (body?.bytes && bodyText(body.bytes)) ?? "",
    ...{ caller: escaped(principal.name), session, provider: connection.provider.name },
    ...{ userId: escaped(connection.userId), connectionId: connection.connectionId },
    ...{ heldSince: timestampFromMs(sinceMs), expiresAt: timestampFromMs(expiresAtMs) },
    ...{ callerLeft: isLeft, approvers: rule.approvers ?? 1, approvedBy: approvedBy.map(escaped) },
    labels: sessionLabels(
      labels.map((each) => ({ ...each, request: escaped(each.request), caller: escaped(each.caller) })),
    ),
    ...{
      ruleLine: rule.line,
      because: rule.because,
      extents: rule.extent.filter((each) => each === "hour" || session !== ""),
    },
  });
}

/** As approvers read it. */
export function planMessageOf(entry: PlanEntry): HeldPlan {
  const { id, digest, plan, caller, askedAtMs, expiresAtMs, approver, used } = entry.record;
  return create(HeldPlanSchema, {
    ...{ id, digest, caller: escaped(caller), used: [...used], approver: isWaiting(entry) ? "" : approver },
    ...{ askedAt: timestampFromMs(Number(askedAtMs)), expiresAt: timestampFromMs(Number(expiresAtMs)) },
    ...present({ plan: plan && shownPlan(plan) }),
  });
}

function shownPlan({ userId, reason, requests, ...plan }: Plan): Plan {
  return create(PlanSchema, {
    ...{ ...plan, userId: escaped(userId), reason: lines(reason) },
    requests: requests.map(({ url, label, body, ...planned }) => ({
      ...{ ...planned, url: escaped(url), label: escaped(label) },
      body: Object.fromEntries(
        Object.entries(body).map(([name, template]) => [escaped(name), escaped(template)]),
      ),
    })),
  });
}

/** Text of an agent in one line, for the person who decides: nothing in it looks like something else, or moves what is around it. */
export function escaped(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, escapeOne);
}

/** A body as text; undefined for what is none. Letters of all scripts stay. */
export function bodyText(bytes: Uint8Array): string | undefined {
  try {
    return lines(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function lines(text: string): string {
  return text.replace(/(?![\n\t])[\p{C}\p{Zl}\p{Zp}]/gu, escapeOne);
}

function escapeOne(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
