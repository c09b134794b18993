import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AccessService, type ApiKey } from "../../../gen/nexus/v1/access_pb.js";
import { EgressService } from "../../../gen/nexus/v1/egress_pb.js";
import { StatusService } from "../../../gen/nexus/v1/status_pb.js";
import { describeRestriction, restrictionFrom } from "../../../model/access/access.js";
import { formatCount } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import type { View } from "../../../server/pages/kit.js";
import { Ask } from "../kit/forms.js";
import { consolePage, PostForm } from "../kit/page.js";
import { Chip, Go, Moment, pathWith, Table, type TableRow } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";
import { roleWords } from "../kit/words.js";

const path = "/access";
const hourMs = 60 * 60_000;
const maxEntries = 100;

export async function accessPage(request: PageRequest): Promise<HttpAnswer> {
  const sections = await Promise.all([
    ...(request.may("policy.read") ? [warningsOf(request)] : []),
    ...(request.may("key.manage") ? [keysOf(request)] : []),
    streamsOf(request),
    ...(request.serves(EgressService) ? [programsOf(request)] : []),
  ]);
  const denied = request.may("audit.read") && (
    <p class="soft"><a href="/audit?type=access.denied">Show denied calls</a> in the audit log.</p>
  );
  const content = <>{sections}{denied}</>;
  const actions = request.may("key.manage") && <Go to="/access/keys/new" text="New key" />;
  return consolePage(request, { title: "Access", section: path, actions, content });
}

/** What is likely to be wrong in the policy file; nothing where all is well. */
async function warningsOf(request: PageRequest) {
  const question = { principal: "owner", action: "token.read" };
  const { warnings } = await request.call(AccessService.method.explainAccess, question);
  if (warnings.length === 0) return undefined;
  return (
    <section aria-labelledby="policy-title">
      <h2 id="policy-title">Policy file</h2>
      <ul class="tasks">{warnings.map((warning) => <li><bdi>{warning}</bdi></li>)}</ul>
    </section>
  );
}

async function keysOf(request: PageRequest) {
  const { query, call } = request;
  const includeRevoked = query.get("revoked") === "1";
  const listRequest = { pageSize: maxEntries, pageToken: query.get("keys") ?? "", includeRevoked };
  const { apiKeys, nextPageToken } = await call(AccessService.method.listApiKeys, listRequest);
  const columns = ["Name", "Role", "Created", "Last used", "Ends", ""];
  return (
    <section aria-labelledby="keys-title">
      <h2 id="keys-title">API keys</h2>
      {apiKeys.length === 0 ? (
        <p class="soft">
          No API keys yet. The user that runs nexusd needs none. In a terminal: <code>nexusd keys create</code>
        </p>
      ) : <Table caption="API keys" columns={columns} rows={apiKeys.map((key) => keyRow(request, key))} />}
      <p class="actions">
        <a href={pathWith(path, { revoked: includeRevoked ? "" : "1" })}>
          {includeRevoked ? "Hide revoked keys" : "Show revoked keys"}
        </a>
        {nextPageToken !== "" && (
          <a href={pathWith(path, { keys: nextPageToken, revoked: includeRevoked ? "1" : "" })}>More</a>
        )}
      </p>
    </section>
  );
}

function keyRow(request: PageRequest, key: ApiKey): TableRow {
  const { nowMs } = request;
  const { name, role, restriction, createdAt, createdBy, lastUsedAt, lease, revokedAt, revokedBy } = key;
  const expiresAt = key.leaseEndsAt ?? key.expiresAt;
  const limits = restriction ? describeRestriction(restrictionFrom(restriction)) : "";
  const isOver = expiresAt !== undefined && timestampMs(expiresAt) <= nowMs;
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
      ) : <>{isOver && <Chip tone="idle">Expired</Chip>} {moment(expiresAt)}{lease && " unless renewed"}</>,
      !revokedAt && (
        <PostForm request={request} action={`/access/keys/${encodeURIComponent(name)}/revoke`}>
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

interface LiveList {
  readonly id: string;
  readonly title: string;
  /** What its entries are. */
  readonly note: View;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly View[])[];
  /** Of all, which may be more than `rows`. */
  readonly count: number;
}

/** What is open now, followed by the script. */
function liveList({ id, title, note, columns, rows, count }: LiveList): View {
  return (
    <section id={id} aria-labelledby={`${id}-title`} data-poll="5">
      <h2 id={`${id}-title`}>{title} <span class="count">{formatCount(count)}</span></h2>
      <p class="soft">{note}</p>
      {count === 0 ? <p>None is open.</p> : (
        <Table caption={`${title}, the oldest first`} columns={columns} rows={rows.map((cells) => ({ cells }))} />
      )}
      {count > rows.length && <p class="soft">And {formatCount(count - rows.length)} more.</p>}
    </section>
  );
}

async function streamsOf({ call, nowMs }: PageRequest) {
  const { streams, count } = await call(StatusService.method.listOpenStreams, { maxEntries });
  return liveList({
    ...{ id: "streams", title: "Open streams", count },
    note: "Agents and proxies that receive each new token.",
    columns: ["Who", "What", "From", "Since"],
    rows: streams.map(({ principal, rpc, listener, origin, openedAt }) => [
      <bdi>{principal}</bdi>,
      <>{rpc.split(".").at(-1)} <span class="soft">on <code>{listener}</code></span></>,
      origin,
      <Moment time={openedAt} nowMs={nowMs} />,
    ]),
  });
}

async function programsOf({ call, nowMs }: PageRequest) {
  const { sessions, count } = await call(EgressService.method.listEgressSessions, { maxEntries });
  return liveList({
    ...{ id: "programs", title: "Programs and callers", count },
    note: (
      <>
        Programs of <code>nexusd run</code> and callers of the egress listener. nexusd adds the credential to their
        requests.
      </>
    ),
    columns: ["Who", "User", "Since", "Until", "Requests", "Refused"],
    rows: sessions.map(({ principal, userId, program, since, until, uses, refusals }) => [
      <><bdi>{principal}</bdi>{program !== "" && <span class="soft block"><bdi>{program}</bdi></span>}</>,
      <bdi>{userId}</bdi>,
      <Moment time={since} nowMs={nowMs} />,
      <Moment time={until} nowMs={nowMs} none="Never" />,
      uses.map(({ provider, status, count: sent }) => <div><bdi>{provider}</bdi> {status}: {sent.toString()}</div>),
      refusals.map(({ reason, count: refused }) => <div><bdi>{reason}</bdi>: {refused.toString()}</div>),
    ]),
  });
}
