import type { HeldPlan, HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { agentOf, shareText } from "../../../model/access/access.js";
import { formatBytes } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Body } from "../../../server/pages/kit.js";
import { agentPath, agentText } from "../kit/agent_names.js";
import { agentOfEvent, type EventNames, namesOf, RulePlace, When } from "../kit/event_table.js";
import { consolePage } from "../kit/page.js";
import { Chip, Empty, Go, LiveMark, Moment, pathWith, Table, type TableRow, Tabs } from "../kit/parts.js";
import { findEvents } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";
import { decisionOf, decisionWords } from "../kit/words.js";
import { approvalsPath } from "../sessions/console_url.js";
import { Approve, Deny } from "./approval.js";
import { askedFor, CallerLeft, Headers, isBrief, Line, TimeLeft } from "./held.js";

const title = "Approvals";
/** Others' events between decisions are many. */
const ofPage = { most: 50, calls: 20 };

/** The requests that wait, or those that were decided, of which the audit log tells. */
export async function approvalsPage(request: PageRequest): Promise<HttpAnswer> {
  const { query } = request;
  const showsDecided = request.may("audit.read") && query.get("show") === "decided";
  const waiting = request.waiting.get(approvalsPath) ?? 0;
  const tabs = [
    { href: approvalsPath, text: <>Waiting <span class="count">{waiting}</span></>, isCurrent: !showsDecided },
    { href: pathWith(approvalsPath, { show: "decided" }), text: "Decided", isCurrent: showsDecided },
  ];
  const isLive = !showsDecided || !query.get("page");
  const content = (
    <>
      {request.may("audit.read") && <div id="approvals-tabs" data-follow=""><Tabs label="Which requests" tabs={tabs} /></div>}
      <div id="approvals" data-poll={isLive ? "2" : undefined}>
        {showsDecided ? await decidedList(request) : waitingList(request, await askedFor(request))}
      </div>
    </>
  );
  return consolePage(request, { title, section: approvalsPath, actions: isLive && <LiveMark />, content });
}

function waitingList(request: PageRequest, asked: Awaited<ReturnType<typeof askedFor>>) {
  const { requests, plans } = asked;
  if (requests.length + plans.length === 0)
    return (
      <Empty title="No request waits for approval" command="nexusd approvals list">
        <p>A rule of the policy file with <code>then: ask</code> holds a request until somebody decides.</p>
      </Empty>
    );
  // Nothing moves under the hand of somebody who answers: the newest come last, and the script keeps what is in use.
  return <ol class="waiting" data-list="">{requests.map((held) => waitingCard(request, held))}{plans.map((plan) => planCard(request, plan))}</ol>;
}

/** A plan is read on its page: what it covers is too much for a list. */
function planCard(request: PageRequest, { id, plan, caller, approver, expiresAt }: HeldPlan) {
  const page = `${approvalsPath}/${id}`;
  const agent = agentOf(caller);
  const isWaiting = approver === "";
  const title = isWaiting ? "A plan waits" : "A plan is in force";
  const methods = plan?.requests.map(({ method, url }) => `${method} ${url}`) ?? [];
  return (
    <li id={`held-${id}`} class="card" data-name={title} data-state={isWaiting ? "waiting" : "in force"}>
      <h2 class="large"><a href={page}>{title}</a></h2>
      <p>
        <a href={agentPath(agent)}><bdi>{agentText(agent)}</bdi></a> for <bdi>{plan?.userId}</bdi>, ends <Moment time={expiresAt} nowMs={request.nowMs} />
        {!isWaiting && <span class="soft block">Approved by <bdi>{approver}</bdi></span>}
        {methods.slice(0, 5).map((line) => <span class="block"><code class="request">{line}</code></span>)}
        {methods.length > 5 && <span class="soft block">and {methods.length - 5} more</span>}
      </p>
      <p class="actions"><Go to={page} text={isWaiting ? "Read it" : "Details"} kind="quiet" /></p>
    </li>
  );
}

/** All that a person must read is there, or the way to it instead of the button. */
function waitingCard(request: PageRequest, held: HeldRequest) {
  const { id, caller, provider, userId, headers, labels, ruleLine, because } = held;
  const page = `${approvalsPath}/${id}`;
  const agent = agentOf(caller);
  const approvals = shareText(held);
  const more = held.extents.length > 0 ? "Approve for longer" : "Details";
  return (
    <li id={`held-${id}`} class="card" data-name={`${held.method} ${held.url}`} data-state={held.callerLeft ? "its caller left" : "waiting"}>
      <h2 class="large"><a href={page}><Line held={held} /></a></h2>
      <TimeLeft held={held} nowMs={request.nowMs} />
      <CallerLeft held={held} />
      <p>
        <a href={agentPath(agent)}><bdi>{agentText(agent)}</bdi></a> with the credential of{" "}
        <a href={`/connections/${held.connectionId}`}><bdi>{userId}</bdi></a> at <bdi>{provider}</bdi>
        <span class="soft block">Rule in line {ruleLine}{because !== "" && <>: <bdi>{because}</bdi></>}</span>
        {approvals !== "" && <span class="soft block">Approvals: <bdi>{approvals}</bdi></span>}
        {labels.map(({ label, request: setter }) => <span class="soft block">Its session is <bdi>{label}, since {setter}</bdi></span>)}
      </p>
      {isBrief(held) ? <Body held={held} /> : <p>Its body of {formatBytes(Number(held.bodySize))} is too long for this list, or is not text.</p>}
      {headers.length > 0 && (
        <details id={`headers-${id}`}><summary>Headers ({headers.length})</summary><Headers held={held} /></details>
      )}
      <div class="answers">
        <div class="actions">
          {isBrief(held) && <Approve request={request} held={held} />}
          <Go to={page} text={isBrief(held) ? more : "Read it first"} kind="quiet" />
        </div>
        <Deny request={request} held={held} />
      </div>
    </li>
  );
}

async function decidedList(request: PageRequest) {
  const pageToken = request.query.get("page") ?? "";
  const filter = { withoutDaemon: true, pageToken };
  const { found, next } = await findEvents(request, filter, ofPage, ({ eventType }) => eventType in decisionWords);
  const names = await namesOf(request, found);
  const columns = ["Time (UTC)", "Decision", "Request", "Agent", "Credential of", "By"];
  const none = next === "" ? "No request was decided yet." : "Nothing among the events that were looked at.";
  return (
    <>
      {found.length === 0 ? (
        <p>{none}</p>
      ) : (
        <Table caption="Decided requests, the newest first" class="rows decided" columns={columns} rows={found.map((event) => decidedRow(event, names))} isHeaded={false} />
      )}
      {next !== "" && <p><Go to={pathWith(approvalsPath, { show: "decided", page: next })} text="Older" kind="quiet" /></p>}
    </>
  );
}

function decidedRow(event: AuditEvent, names: EventNames): TableRow {
  const { sequence, time, eventType, connectionId, providerId, userId, rule, approver } = event;
  const [word, tone] = decisionWords[eventType] ?? [eventType, "idle"];
  const { request, extent, share, reason } = decisionOf(event) ?? { request: event.reason };
  const agent = agentOf(agentOfEvent(event));
  return {
    id: `event-${sequence}`,
    cells: [
      <a class="plain" href={`/activity/${sequence}`}><When time={time} /></a>,
      <><Chip tone={tone}>{word}</Chip>{extent && <span class="soft block">{extent}</span>}{share && <span class="soft block">{share}</span>}</>,
      <>
        <code class="request"><bdi>{request}</bdi></code>
        {reason && <span class="block"><bdi>{reason}</bdi></span>}
        {rule !== "" && <span class="soft block"><RulePlace rule={rule} /></span>}
      </>,
      <a href={agentPath(agent)}><bdi>{agentText(agent)}</bdi></a>,
      connectionId !== "" && <a href={`/connections/${connectionId}`}><bdi>{userId} at {names.get(providerId) ?? "a deleted provider"}</bdi></a>,
      <bdi>{approver === "" ? "nobody" : approver}</bdi>,
    ],
  };
}
