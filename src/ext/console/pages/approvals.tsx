import { ApprovalService, type HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import { formatBytes, NotFound } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts, Input } from "../../../server/pages/kit.js";
import type { Call } from "../../../service/service.js";
import { consolePage, PostForm, seeOther } from "../kit/page.js";
import { Empty, Go, Moment, Table } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";
import { approvalsPath } from "../sessions/console_url.js";

const title = "Approvals";

/** The requests that wait, each with a page of its own: nothing moves under the hand of somebody who answers. */
export async function approvalsPage(request: PageRequest): Promise<HttpAnswer> {
  const rows = (await waitingFor(request)).map((held) => ({
    id: `held-${held.id}`,
    cells: [
      <a href={`${approvalsPath}/${held.id}`}><Line held={held} /></a>,
      ...[held.caller, held.provider, held.userId].map((name) => <bdi>{name}</bdi>),
      <Moment time={held.expiresAt} nowMs={request.nowMs} />,
    ],
  }));
  const content = (
    <div id="approvals" data-poll="2">
      {rows.length === 0 ? (
        <Empty title="No request waits for approval" command="nexusd approvals list">
          <p>A rule of the policy file with <code>then: ask</code> holds a request until somebody decides.</p>
        </Empty>
      ) : (
        <Table caption={title} columns={["Request", "Caller", "Provider", "User", "Expires"]} rows={rows} />
      )}
      {request.may("audit.read") && <p><a href="/activity?show=approvals">Decided requests</a></p>}
    </div>
  );
  return consolePage(request, { title, section: approvalsPath, content });
}

/** Those that the person may answer. @param link of one */
export async function waitingFor({ call }: PageRequest, link = ""): Promise<HeldRequest[]> {
  return (await call(ApprovalService.method.listHeldRequests, { link })).requests;
}

/** Without what a count has no need of. */
export async function countWaiting(call: Call): Promise<number> {
  return (await call(ApprovalService.method.listHeldRequests, { brief: true })).requests.length;
}

/** One request, whole. What leads here is its id, or a link that was signed for it. */
export async function approvalPage(request: PageRequest): Promise<HttpAnswer> {
  const held = await heldOf(request);
  if (!held) {
    const content = (
      <div class="card narrow">
        <p>This request was decided, has expired, or never existed.</p>
        <p class="actions"><Go to={approvalsPath} text="All approvals" /></p>
      </div>
    );
    return consolePage(request, { title: "No such request", section: approvalsPath, content, status: 404 });
  }
  const action = `${approvalsPath}/${held.id}`;
  const digest = <input type="hidden" name="digest" value={hex(held.digest)} />;
  const choices = ["once", ...held.extents].map((extent, index) => (
    <label class="tick">
      <input type="radio" name="extent" value={extent} checked={index === 0} />{extentWords[extent] ?? extent}
    </label>
  ));
  const content = (
    <div class="card">
      <p class="large"><Line held={held} /></p>
      {held.callerLeft && <p class="problem">Its caller does not wait any more. Your answer counts if it sends the same request again before the hold ends.</p>}
      {bodyOf(held)}
      {held.headers.length > 0 && <h2>Headers</h2>}
      <Facts of={held.headers.map(({ name, value }) => [name, <code class="request">{value}</code>] as const)} />
      <h2>Who asks</h2>
      <Facts
        of={[
          ["Caller", <bdi>{held.caller}</bdi>],
          ["Session", held.session],
          ["Provider", <bdi>{held.provider}</bdi>],
          ["Account", <a href={`/connections/${held.connectionId}`}><bdi>{held.userId}</bdi></a>],
          ["Rule", <bdi>line {held.ruleLine} of the policy file{held.because && `: ${held.because}`}</bdi>],
          ...held.labels.map(({ label, request: setter, rule }) => ["Session is", <bdi>{label}, since {setter} ({rule})</bdi>] as const),
          ["Expires", <Moment time={held.expiresAt} nowMs={request.nowMs} />],
          ["Digest", <code>{hex(held.digest)}</code>],
        ]}
      />
      <PostForm request={request} action={action}>
        {digest}
        <fieldset><legend>Approve</legend>{choices}</fieldset>
        <div class="actions"><button type="submit" name="answer" value="yes">Approve</button></div>
      </PostForm>
      <PostForm request={request} action={action}>
        {digest}
        <Input name="reason" label="Reason for a denial" hint="One line, if you want: the agent reads it." maxLength={300} />
        <div class="actions">
          <button type="submit" name="answer" value="no" class="danger">Deny</button>
          <Go to={approvalsPath} text="Not now" kind="quiet" />
        </div>
      </PostForm>
    </div>
  );
  return consolePage(request, { title: "Approve a request?", section: approvalsPath, content });
}

const extentWords: Readonly<Record<string, string>> = {
  once: "this request, once",
  session: "this request and, in its session, all requests of this rule",
  hour: "this request and, for an hour, all requests of this rule and caller",
};

async function heldOf(request: PageRequest): Promise<HeldRequest | undefined> {
  const { id = "" } = request.params;
  const waiting = await waitingFor(request, id.includes(".") ? id : "");
  return waiting.find((held) => held.id === id.split(".", 1)[0]);
}

/** @throws NotFound for what is no answer */
export async function answerRequest({ call, params }: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const answer = form.get("answer");
  if (answer !== "yes" && answer !== "no") throw new NotFound("request");
  const approve = answer === "yes";
  const extent = approve ? (form.get("extent") ?? "").replace(/^once$/, "") : "";
  const digest = Buffer.from(form.get("digest") ?? "", "hex");
  const { id = "" } = params;
  // The form to deny is another one, so that Enter in its text never approves.
  const reason = approve ? "" : (form.get("reason") ?? "");
  await call(ApprovalService.method.decideHeldRequest, { id, digest, approve, extent, reason });
  return seeOther(approvalsPath, approve ? "request_sent" : "request_refused");
}

/** In printable ASCII alone, as the daemon answers it. */
export function Line({ held: { method, url } }: { readonly held: HeldRequest }) {
  return <code class="request">{method} {url}</code>;
}

/** From left to right whatever its letters, which are marked where they are not ASCII: another script has letters that look the same. */
function bodyOf({ bodySize, bodySha256, bodyText }: HeldRequest) {
  if (bodySize === 0n) return <p>It has no body.</p>;
  const parts = indented(bodyText)
    .split(/([^\p{ASCII}]+)/u)
    .map((part, index) => (index % 2 === 1 ? <mark>{part}</mark> : part));
  return (
    <>
      <p>Body of {formatBytes(Number(bodySize))}, SHA-256 <code>{hex(bodySha256)}</code></p>
      {bodyText === "" ? (
        <p class="problem">It is not text, or is too long: only its size and digest are shown.</p>
      ) : (
        <pre class="request"><bdo dir="ltr">{parts}</bdo></pre>
      )}
    </>
  );
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

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
