import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ApiKey } from "../../../gen/nexus/v1/access_pb.js";
import type { AuditEvent } from "../../../gen/nexus/v1/audit_pb.js";
import { describeRestriction, restrictionFrom } from "../../../model/access/access.js";
import { counted, formatCount } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import type { View } from "../../../server/pages/kit.js";
import { agentPath, agentText, isOfKeys } from "../kit/agent_names.js";
import { activityOf, RulePlace } from "../kit/event_table.js";
import { Ask, Problem } from "../kit/forms.js";
import { consolePage, PostForm } from "../kit/page.js";
import { Card, Chip, Go, Moment, pathWith, Table, type TableRow } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";
import { reasonText, roleWords } from "../kit/words.js";
import { partOf, providerTexts } from "./agents.js";
import { type Agent, agentsOf, isEnded, isLiveKey } from "./callers.js";
import { HourChart } from "./hour_chart.js";
import { usageOf } from "./usage.js";

const section = "/agents";
const hourMs = 60 * 60_000;
/** Revoked keys are kept for good. */
const maxKeys = 100;

/** One agent: what it does now, did in the last day, was refused, and may. */
export async function agentPage(request: PageRequest): Promise<HttpAnswer> {
  const { name = "" } = request.params;
  const usage = await usageOf(request, name);
  const agent = (await agentsOf(request, usage)).find((each) => each.name === name);
  if (!agent) {
    const content = <><Problem message="No agent of this name has a key, or has called in the last 24 hours." /><p><a href={activityOf(name)}>Search its activity before</a></p></>;
    return consolePage(request, { title: "No such agent", section, content, status: 404 });
  }
  const { use, stop, lastMs } = agent;
  const names = await providerTexts(request);
  const title = agentText(name);
  const refusedHere = request.may("audit.read") && (
    <Card id="refusals-title" title={<>Refused <span class="count">{formatCount(use.refused)}</span></>}>
      {use.refusals.length === 0 ? <p class="soft">Nothing was refused in the last 24 hours.</p> : refusalsOf(use.refusals, names, request.nowMs)}
    </Card>
  );
  const content = (
    <>
      {stop && <p class="headline card bad"><b>Stopped</b> <span class="soft"><Moment time={stop.stoppedAt} nowMs={request.nowMs} /> by <bdi>{stop.stoppedBy}</bdi>. It is refused until you lift the stop.</span></p>}
      <p>
        {lastMs === 0 ? "No request yet." : <>Last request <Moment time={timestampFromMs(lastMs)} nowMs={request.nowMs} />.</>}{" "}
        {request.may("audit.read") && <a href={activityOf(name)}>Its activity</a>}
      </p>
      <div id="now" data-poll="5">{runningOf(agent, request.nowMs)}</div>
      {request.may("audit.read") && (
        <Card id="requests-title" title="Requests by provider">
          <HourChart title={`Requests of ${title}`} sinceMs={usage.sinceMs} counts={use.hours} nameOf={(id) => names.get(id) ?? (id === "" ? "others" : "a deleted provider")} />
          {partOf(usage)}
        </Card>
      )}
      {refusedHere}
      {request.may("key.manage") && isOfKeys(name) && keysOf(request, agent)}
    </>
  );
  return consolePage(request, { title, heading: <bdi>{title}</bdi>, section, content, actions: actionsOf(request, agent) });
}

function actionsOf(request: PageRequest, agent: Agent): View {
  const { name, stop, keys } = agent;
  if (!request.may("key.manage") || name === "owner" || name === "admin") return undefined;
  const title = agentText(name);
  if (stop) {
    return <PostForm request={request} action={agentPath(name, "/lift")}><button type="submit">Lift the stop</button></PostForm>;
  }
  const live = keys.filter((key) => isLiveKey(key, request.nowMs));
  return (
    <>
      {!isEnded(agent, request.nowMs) && (
        <PostForm request={request} action={agentPath(name, "/stop")}>
          <Ask id="stop" open="Stop" yes="Stop it now" title={<>Stop <bdi>{title}</bdi>?</>}>
            <p>Its sessions, streams, and held requests end within a second, and later calls are refused.</p>
            {isOfKeys(name) ? (
              <p>This revokes {counted(live.length, "key")} for good. To let it call again, grant it access.</p>
            ) : <p>It is refused until you lift the stop, even with a new JWT or certificate.</p>}
          </Ask>
        </PostForm>
      )}
      {isOfKeys(name) && <Go to={pathWith("/agents/grant", { agent: title })} text="Grant access" />}
    </>
  );
}

/** What is open now, followed by the script. */
function runningOf({ sessions, streams }: Agent, nowMs: number): View {
  if (sessions.length + streams.length === 0) return <p class="soft">Nothing is running.</p>;
  return (
    <>
      {sessions.length > 0 && (
        <Card id="sessions-title" title="Running sessions">
          <Table
            caption="Running sessions"
            columns={["Program", "User", "Since", "Until", "Requests", "Refused"]}
            rows={sessions.map(({ program, userId, since, until, uses, refusals }) => ({
              cells: [
                <bdi>{program === "" ? "Egress listener" : program}</bdi>,
                <bdi>{userId}</bdi>,
                <Moment time={since} nowMs={nowMs} />,
                <Moment time={until} nowMs={nowMs} none="Never" />,
                uses.map(({ provider, status, count }) => <div><bdi>{provider}</bdi> {status}: {formatCount(Number(count))}</div>),
                refusals.map(({ reason, count }) => <div><bdi>{reason}</bdi>: {formatCount(Number(count))}</div>),
              ],
            }))}
          />
        </Card>
      )}
      {streams.length > 0 && (
        <Card id="streams-title" title="Open streams">
          <Table
            caption="Open streams"
            columns={["What", "From", "Since"]}
            rows={streams.map(({ rpc, listener, origin, openedAt }) => ({
              cells: [<>{rpc.split(".").at(-1)} <span class="soft">on <code>{listener}</code></span></>, origin, <Moment time={openedAt} nowMs={nowMs} />],
            }))}
          />
        </Card>
      )}
    </>
  );
}

function refusalsOf(refusals: readonly AuditEvent[], names: ReadonlyMap<string, string>, nowMs: number): View {
  const rows = refusals.map((event): TableRow => ({
    cells: [
      <a class="plain" href={`/activity/${event.sequence}`}><Moment time={event.time} nowMs={nowMs} /></a>,
      reasonText(event),
      <bdi>{names.get(event.providerId) ?? ""}{event.userId !== "" && ` of ${event.userId}`}</bdi>,
      <RulePlace rule={event.rule} />,
      event.count > 0n ? counted(Number(event.count), "time") : "",
    ],
  }));
  return <Table caption="Refused, the newest first" columns={["Time", "What", "API", "Rule", "How often"]} rows={rows} isHeaded={false} />;
}

function keysOf(request: PageRequest, { keys }: Agent): View {
  const shown = keys.slice(0, maxKeys);
  return (
    <Card id="keys-title" title="Keys and grants">
      {keys.length === 0 ? <p class="soft">It has no key any more.</p> : (
        <Table caption="Keys and grants" columns={["Name", "May use", "Created", "Last used", "Ends", ""]} rows={shown.map((key) => keyRow(request, key))} />
      )}
      {keys.length > shown.length && <p class="soft">And {counted(keys.length - shown.length, "older key")}: <code>nexusd keys list --all</code></p>}
    </Card>
  );
}

function keyRow(request: PageRequest, key: ApiKey): TableRow {
  const { nowMs } = request;
  const { name, role, restriction, createdAt, createdBy, lastUsedAt, lease, revokedAt, revokedBy } = key;
  const limits = restriction ? describeRestriction(restrictionFrom(restriction)) : "";
  // The use of a key is known to the hour.
  const isUsed = lastUsedAt !== undefined && nowMs - timestampMs(lastUsedAt) < hourMs;
  const moment = (time: typeof createdAt) => <Moment time={time} nowMs={nowMs} none="Never" />;
  return {
    cells: [
      <bdi>{name}</bdi>,
      <>{roleWords[role]}{limits !== "" && <span class="soft block">{limits}</span>}</>,
      <>{moment(createdAt)} by <bdi>{createdBy}</bdi></>,
      isUsed ? "Within the hour" : moment(lastUsedAt),
      revokedAt ? (
        <><Chip tone="bad">Revoked</Chip> {moment(revokedAt)} by <bdi>{revokedBy}</bdi></>
      ) : <>{!isLiveKey(key, nowMs) && <Chip tone="idle">Expired</Chip>} {moment(key.leaseEndsAt ?? key.expiresAt)}{lease && " unless renewed"}</>,
      !revokedAt && (
        <PostForm request={request} action={`/agents/keys/${encodeURIComponent(name)}/revoke`}>
          <Ask
            {...{ id: `revoke-${name}`, class: "small", yes: "Revoke the key" }}
            open={<>Revoke<span class="hidden"> {name}</span></>}
            title={<>Revoke the API key <bdi>{name}</bdi>?</>}
          >
            <p>Its next call is refused, and its streams and sessions end within a second.</p>
            <p>This cannot be undone, and the name cannot be used again.</p>
          </Ask>
        </PostForm>
      ),
    ],
  };
}
