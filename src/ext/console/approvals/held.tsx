import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ApprovalService, type HeldPlan, type HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import { shareText } from "../../../model/access/access.js";
import { Facts, indented } from "../../../server/pages/kit.js";
import type { Call } from "../../../service/service.js";
import { Moment } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";

/** Those that the person may answer, the oldest first. */
export async function waitingFor(request: PageRequest): Promise<HeldRequest[]> {
  return (await askedFor(request)).requests;
}

/** The same with the plans that wait or are in force. @param link of one */
export async function askedFor(
  { call }: PageRequest,
  link = "",
): Promise<{ readonly requests: HeldRequest[]; readonly plans: HeldPlan[] }> {
  return await call(ApprovalService.method.listHeldRequests, { link });
}

/** Without what a count has no need of. */
export async function countWaiting(call: Call): Promise<number> {
  const { requests, plans } = await call(ApprovalService.method.listHeldRequests, { brief: true });
  return requests.length + plans.filter(({ approver }) => approver === "").length;
}

/** In printable ASCII alone, as the daemon answers it. */
export function Line({ held: { method, url } }: { readonly held: HeldRequest }) {
  return <code class="request">{method} {url}</code>;
}

/** The time that is left to decide, which the script counts down. */
export function TimeLeft(props: { readonly held: HeldRequest; readonly nowMs: number }) {
  const { held: { heldSince, expiresAt }, nowMs } = props;
  if (!heldSince || !expiresAt) return null;
  const [sinceMs, untilMs] = [timestampMs(heldSince), timestampMs(expiresAt)];
  const leftSeconds = Math.max(0, Math.ceil((untilMs - nowMs) / 1_000));
  return (
    <div class="left">
      <progress aria-label="Time left" max={Math.ceil((untilMs - sinceMs) / 1_000)} value={leftSeconds} data-until={untilMs}></progress>
      <span class="soft">Expires <Moment time={expiresAt} nowMs={nowMs} /></span>
    </div>
  );
}

/** For one whose caller is away. */
export function CallerLeft({ held: { callerLeft } }: { readonly held: HeldRequest }) {
  if (!callerLeft) return null;
  return <p class="problem">Its caller does not wait any more. Your answer counts if it sends the same request again before the hold ends.</p>;
}

/** Where it comes from, without what differs from page to page. */
export function factsOf(held: HeldRequest) {
  return [
    ["Caller", <bdi>{held.caller}</bdi>],
    ["Session", held.session],
    ["Provider", <bdi>{held.provider}</bdi>],
    ["Account", <a href={`/connections/${held.connectionId}`}><bdi>{held.userId}</bdi></a>],
    ["Rule", <bdi>line {held.ruleLine} of the policy file{held.because && `: ${held.because}`}</bdi>],
    ["Approvals", shareText(held) !== "" && <bdi>{shareText(held)}</bdi>],
    ...held.labels.map(({ label, request, rule }) => ["Session is", <bdi>{label}, since {request} ({rule})</bdi>] as const),
  ] as const;
}

export function Headers({ held: { headers } }: { readonly held: HeldRequest }) {
  return <Facts of={headers.map(({ name, value }) => [name, <code class="request">{value}</code>] as const)} />;
}

/** What of a body has a place in a list. */
const brief = { characters: 1_000, lines: 40 };

/** Whether a person reads all of its body at a glance. */
export function isBrief({ bodySize, bodyText }: HeldRequest): boolean {
  if (bodySize === 0n) return true;
  const text = bodyText.length <= brief.characters ? indented(bodyText) : "";
  return text !== "" && text.length <= 2 * brief.characters && text.split("\n").length <= brief.lines;
}
