import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { accountText } from "../../../model/credentials/credentials.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts, Monogram, type View } from "../../../server/pages/kit.js";
import { CopyButton, Id } from "../kit/copy.js";
import { Ask } from "../kit/forms.js";
import { consolePage, PostForm } from "../kit/page.js";
import { Go, LiveMark, Moment, pathWith, Scopes } from "../kit/parts.js";
import { providerNames } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";
import { isOfClient } from "../kit/words.js";
import { connectionsPath, isOver, type RowGround, State, scopesOf, stateAttributes } from "./connection_row.js";
import { timelineOf } from "./timeline.js";

/** @param connectionId that of the path unless it is given */
export async function readConnection({ call, params }: PageRequest, connectionId = params["id"] ?? "") {
  const { connection } = await call(ConnectionService.method.getConnection, { connectionId });
  if (!connection) throw new Error("a connection was answered without the connection");
  return connection;
}

export async function connectionPage(request: PageRequest): Promise<HttpAnswer> {
  const { nowMs } = request;
  const connection = await readConnection(request);
  const nameOf = await providerNames(request);
  const name = nameOf(connection);
  const heading = (
    <span class="named">
      <Monogram name={name} big />
      <span><bdi>{connection.userId}</bdi> at <bdi>{name}</bdi></span>
    </span>
  );
  const content = (
    <div class="split">
      <div>
        {connectionCard(connection, { nameOf, nowMs }, actionsOf(request, connection))}
        {await timelineOf(request, connection)}
      </div>
      <aside class="card" aria-labelledby="use">
        <h2 id="use">Use it</h2>
        {snippetsOf(connection).map(([name, text], index) => (
          <details name="use" open={index === 0}>
            <summary>{name}</summary>
            <div class="snippet"><pre tabindex={0}>{text}</pre><CopyButton text={text} /></div>
          </details>
        ))}
      </aside>
    </div>
  );
  return consolePage(request, {
    ...{ title: `${connection.userId} at ${name}`, heading, section: connectionsPath, content },
    actions: <LiveMark />,
  });
}

/** All that is known of a connection, without what is sealed, followed by the script. @param actions what can be done with it */
export function connectionCard(connection: Connection, { nameOf, nowMs }: RowGround, actions?: View) {
  const { id, userId, label, account, expiresAt, issuedAt, refreshNotBefore, refreshExpiresAt } = connection;
  const { refreshable } = connection;
  const name = nameOf(connection);
  const moment = (time: typeof expiresAt, none?: string) => <Moment {...{ time, nowMs, none }} />;
  const accountName = accountText(account);
  const hasEnded = isOver(connection, nowMs);
  return (
    <div class="card" id="connection" data-poll="2" data-from={`${connectionsPath}/${id}`} {...stateAttributes(connection, name)}>
      <div class="status"><State connection={connection} nowMs={nowMs} />{actions}</div>
      <Facts
        of={[
          ["Provider", <a href={`/providers/${connection.providerId}`}><bdi>{name}</bdi></a>],
          ["User", <a href={pathWith(connectionsPath, { user: userId })}><bdi>{userId}</bdi></a>],
          ["Label", label && <bdi>{label}</bdi>],
          ["Account", accountName && <bdi>{accountName}</bdi>],
          ["Scopes", <Scopes scopes={scopesOf(connection)} />],
          [hasEnded ? "Token ended" : "Token ends", <span class={hasEnded ? "over" : undefined}>{moment(expiresAt, "not known")}</span>],
          [refreshable ? "Last refresh" : "Entered", (refreshable || issuedAt) && moment(issuedAt, "none yet")],
          ["Next refresh", refreshable ? moment(refreshNotBefore, "none is planned") : undefined],
          ["Consent ends", refreshExpiresAt && moment(refreshExpiresAt)],
          ["Revision", String(connection.revision)],
          ["Created", moment(connection.createdAt)],
          ["Id", <Id of={id} />],
        ]}
      />
    </div>
  );
}

function actionsOf(request: PageRequest, { id, status, refreshable, problem, providerId }: Connection): View {
  if (status === ConnectionStatus.REVOKED) return undefined;
  const path = `${connectionsPath}/${id}`;
  const isConsented = status === ConnectionStatus.ACTIVE || status === ConnectionStatus.ATTENTION;
  const isClient = isOfClient(problem) && request.may("provider.manage");
  const canRefresh = refreshable && status === ConnectionStatus.ACTIVE;
  return (
    <div class="actions">
      {isClient && <Go to={`/providers/${providerId}/client`} text="Change the client" />}
      {canRefresh && (
        <PostForm request={request} action={`${path}/refresh`}>
          <button type="submit">Refresh now</button>
        </PostForm>
      )}
      <PostForm request={request} action={`${path}/consent`}>
        <button type="submit" class={isClient || canRefresh ? "quiet" : undefined}>
          {isConsented ? "Consent again" : "Ask for consent"}
        </button>
      </PostForm>
      <PostForm request={request} action={`${path}/revoke`} class="apart">
        <Ask id="revoke" open="Revoke" title="Revoke this connection?" yes="Revoke">
          <p>
            The credential is erased, its agents are notified, and the provider is asked to revoke its token. This
            cannot be undone: a new connection needs a new consent.
          </p>
        </Ask>
      </PostForm>
    </div>
  );
}

/** How an agent uses a connection, for each way: what to copy. */
export function snippetsOf(connection: Connection): readonly (readonly [name: string, text: string])[] {
  const { id, providerName, userId, label } = connection;
  const parts = [providerName, userId, label].filter((part) => part !== "");
  const isPlain = parts.every((part) => !/[\s/]/.test(part));
  const word = shellWord(isPlain ? parts.join("/") : id);
  const acquireRequest = { provider_name: providerName, user_id: userId, ...(label !== "" && { label }) };
  const [provider, user, account] = [providerName, userId, label].map((part) => JSON.stringify(part));
  const withLabel = (text: string): string => (label === "" ? "" : text);
  return Object.entries({
    "Command line": `nexusd token ${word}

# One request below the API of the provider:
nexusd curl ${word} /`,
    Python: `from nexusd import Nexus

with Nexus() as nexus:
    token = nexus.acquire(${provider}, user=${user}${withLabel(`, label=${account}`)}, on_consent=print)
    print(token.access_token)`,
    TypeScript: `import { Nexus } from "nexusd-client";

const nexus = new Nexus();
const token = await nexus.acquire(${provider}, {
  user: ${user},${withLabel(`\n  label: ${account},`)}
  onConsent: ({ authUrl }) => console.log(authUrl),
});`,
    Go: `client, err := nexus.New()
if err != nil {
	log.Fatal(err)
}
defer client.Close()

token, err := client.Acquire(ctx, ${provider}, ${user}${withLabel(`, nexus.Label(${account})`)})`,
    curl: `curl -sS "$NEXUS_ADDRESS/nexus.v1.TokenService/AcquireToken" \\
  -H "x-api-key: $NEXUS_API_KEY" \\
  -H 'content-type: application/json' \\
  -d ${shellWord(JSON.stringify(acquireRequest))}`,
    Proxy: `# nginx, Caddy and Envoy ask before each request, and add the credential:
GET /v1/authorize/${isPlain ? parts.map(encodeURIComponent).join("/") : id}`,
  });
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
