import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ApprovalService, type HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import { formatBytes } from "../../../model/model.js";
import { Facts } from "../../../server/pages/kit.js";
import type { Call } from "../../../service/service.js";
import { Moment } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";

/** Those that the person may answer, the oldest first. @param link of one */
export async function waitingFor({ call }: PageRequest, link = ""): Promise<HeldRequest[]> {
  return (await call(ApprovalService.method.listHeldRequests, { link })).requests;
}

/** Without what a count has no need of. */
export async function countWaiting(call: Call): Promise<number> {
  return (await call(ApprovalService.method.listHeldRequests, { brief: true })).requests.length;
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
    ...held.labels.map(({ label, request, rule }) => ["Session is", <bdi>{label}, since {request} ({rule})</bdi>] as const),
  ] as const;
}

export function Headers({ held: { headers } }: { readonly held: HeldRequest }) {
  return <Facts of={headers.map(({ name, value }) => [name, <code class="request">{value}</code>] as const)} />;
}

/** From left to right whatever its letters, which are marked where they are not ASCII: another script has letters that look the same. */
export function Body(props: { readonly held: HeldRequest; readonly showsDigest?: boolean }) {
  const { held: { bodySize, bodySha256, bodyText }, showsDigest = false } = props;
  if (bodySize === 0n) return <p class="soft">It has no body.</p>;
  const parts = indented(bodyText)
    .split(/([^\p{ASCII}]+)/u)
    .map((part, index) => (index % 2 === 1 ? <mark>{part}</mark> : part));
  return (
    <>
      {bodyText === "" ? (
        <p class="problem">It is not text, or is too long: only its size and digest are shown.</p>
      ) : (
        <pre class="request"><bdo dir="ltr">{parts}</bdo></pre>
      )}
      <p class="soft">
        Body of {formatBytes(Number(bodySize))}
        {showsDigest && <>, SHA-256 <code>{hex(bodySha256)}</code></>}
        {parts.length > 1 && ". Highlighted: not ASCII"}
      </p>
    </>
  );
}

/** What of a body has a place in a list. */
const brief = { characters: 1_000, lines: 40 };

/** Whether a person reads all of its body at a glance. */
export function isBrief({ bodySize, bodyText }: HeldRequest): boolean {
  if (bodySize === 0n) return true;
  const text = bodyText.length <= brief.characters ? indented(bodyText) : "";
  return text !== "" && text.length <= 2 * brief.characters && text.split("\n").length <= brief.lines;
}

/** JSON with a line for each member. Only the blanks between its parts change: nothing that a request says is left out or put in another order. */
export function indented(text: string): string {
  if (!isJson(text)) return text;
  let depth = 0;
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|\s+|[{}[\],:]/g, (part) => {
    if (part.trim() === "") return "";
    if (part === ":") return ": ";
    if (part === ",") return `,\n${"  ".repeat(depth)}`;
    if (part === "{" || part === "[") return `${part}\n${"  ".repeat(++depth)}`;
    return part === "}" || part === "]" ? `\n${"  ".repeat(--depth)}${part}` : part;
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return /^\s*[{[]/.test(text);
  } catch {
    return false;
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
