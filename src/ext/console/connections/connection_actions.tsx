import {
  ConnectionService,
  type ConnectionServiceRequestConnectionResponse as Requested,
} from "../../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { counted } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { CopyButton, Input, Select } from "../../../server/views/fields.js";
import { FormButtons, Go, Moment } from "../../../server/views/parts.js";
import { type ConsoleError, consoleError, Problem } from "../kit/errors.js";
import { displayName, providerNames } from "../kit/names.js";
import { consolePage, PostForm, seeOther } from "../kit/page.js";
import { type PageRequest, refuseUnless } from "../kit/request.js";
import { connectionCard, readConnection } from "./connection.js";
import { connectionsPath } from "./connection_row.js";

const section = connectionsPath;
const newPath = `${connectionsPath}/new`;
/** As many as a list has rows, with room for those that came while it was looked at. */
const maxBulk = 200;

/** The id of the path, by which requests name the connection. */
function idOf({ params }: PageRequest): { connectionId: string } {
  return { connectionId: params["id"] ?? "" };
}

export async function refresh(request: PageRequest): Promise<Answer> {
  const { connectionId } = idOf(request);
  await request.call(ConnectionService.method.refreshConnection, { connectionId });
  return seeOther(`${connectionsPath}/${connectionId}`, "refreshed");
}

export async function consentAgain(request: PageRequest): Promise<Answer> {
  return consentPage(request, await request.call(ConnectionService.method.requestConnection, idOf(request)));
}

/** The link for the person who is to consent; they may sit elsewhere. */
async function consentPage(request: PageRequest, requested: Requested): Promise<Answer> {
  const { connectionId, authUrl, expiresAt, redirectUri } = requested;
  const path = `${connectionsPath}/${connectionId}`;
  // No person is needed: it is connected.
  if (requested.connection) return seeOther(path, "connected");
  const connection = await readConnection({ ...request, params: { id: connectionId } });
  const nameOf = await providerNames(request, [connection]);
  const { nowMs } = request;
  const content = (
    <>
      <section class="card">
        <p>
          <bdi>{connection.userId}</bdi> {redirectUri === "" ? "enters the key" : "consents"} at this link.
          Open it here if that is you, or send it to them. It works once, and ends{" "}
          <Moment time={expiresAt} nowMs={nowMs} />.
        </p>
        <p class="copied"><code>{authUrl}</code></p>
        <div class="actions">
          <a class="button" href={authUrl} target="_blank" rel="noreferrer noopener">Open the link</a>
          <CopyButton text={authUrl} label="Copy the link" />
        </div>
      </section>
      <section>
        <div class="heading"><h2>The connection</h2><span class="live" data-live-state></span></div>
        <div data-live={`${path}/live`}>{connectionCard(connection, { nameOf, nowMs })}</div>
      </section>
      <p><a href={path}>Go to the connection</a></p>
      <p class="hidden" role="status" data-announce></p>
    </>
  );
  return consolePage(request, { title: `Consent at ${nameOf(connection)}`, section, content });
}

export async function revokePage(request: PageRequest): Promise<Answer> {
  const connection = await readConnection(request);
  const name = (await providerNames(request, [connection]))(connection);
  const path = `${connectionsPath}/${connection.id}`;
  const content = (
    <div class="card narrow">
      <p>
        The credential of <bdi>{connection.userId}</bdi> at <bdi>{name}</bdi> is erased, its agents are
        notified, and the provider is asked to revoke its token. This cannot be undone: a new connection needs
        a new consent.
      </p>
      <div class="actions">
        <PostForm request={request} action={`${path}/revoke`}>
          <button class="danger" type="submit">Revoke</button>
        </PostForm>
        <Go to={path} text="Keep it" kind="quiet" />
      </div>
    </div>
  );
  return consolePage(request, { title: "Revoke this connection?", section, content });
}

export async function revoke(request: PageRequest): Promise<Answer> {
  const { connectionId } = idOf(request);
  await request.call(ConnectionService.method.revokeConnection, { connectionId });
  return seeOther(`${connectionsPath}/${connectionId}`, "revoked");
}

/** Acts on the connections that were selected; what cannot be undone is asked first. */
export async function bulk(request: PageRequest, form: URLSearchParams): Promise<Answer> {
  const ids = [...new Set(form.getAll("id"))].slice(0, maxBulk);
  const wanted = form.get("do");
  if (ids.length === 0) return seeOther(connectionsPath, "none_selected");
  if (wanted === "revoke") return bulkRevokePage(request, ids);
  const { refreshConnection, revokeConnection } = ConnectionService.method;
  const failures: string[] = [];
  for (const connectionId of ids) {
    try {
      if (wanted === "revoke-now") await request.call(revokeConnection, { connectionId });
      else await request.call(refreshConnection, { connectionId });
    } catch (error) {
      failures.push(`${connectionId}: ${consoleError(error).message}`);
    }
  }
  if (failures.length === 0)
    return seeOther(connectionsPath, wanted === "revoke-now" ? "all_revoked" : "all_refreshed");
  const content = (
    <div class="problem" role="alert">
      <p><b>{counted(ids.length - failures.length, "connection")} done.</b> The others were refused:</p>
      <ul>{failures.map((failure) => <li>{failure}</li>)}</ul>
    </div>
  );
  return consolePage(request, { title: "Not all were done", section, content });
}

function bulkRevokePage(request: PageRequest, ids: readonly string[]): Answer {
  refuseUnless(request, "connection.manage");
  const content = (
    <PostForm request={request} action={`${connectionsPath}/bulk`} class="card narrow">
      <p>
        The credentials of {counted(ids.length, "connection")} are erased, their agents are notified, and the
        providers are asked to revoke the tokens. This cannot be undone.
      </p>
      {ids.map((id) => <input type="hidden" name="id" value={id} />)}
      <div class="actions">
        <button class="danger" type="submit" name="do" value="revoke-now">Revoke them</button>
        <Go to={connectionsPath} text="Keep them" kind="quiet" />
      </div>
    </PostForm>
  );
  return consolePage(request, { title: `Revoke ${counted(ids.length, "connection")}?`, section, content });
}

const fieldNames = ["provider", "user", "label", "scopes"] as const;
type Entered = Readonly<Record<(typeof fieldNames)[number], string>>;

/** The form, with a provider chosen by the query where a link says so. */
export function connectPage(request: PageRequest): Promise<Answer> {
  return connectForm(request, enteredOf(request.query));
}

export async function connect(request: PageRequest, form: URLSearchParams): Promise<Answer> {
  const entered = enteredOf(form);
  const { provider, user: userId, label, scopes } = entered;
  try {
    const requested = await request.call(ConnectionService.method.requestConnection, {
      ...{ userId, label, scopes: scopes.split(/\s+/).filter((scope) => scope !== "") },
      provider: { case: "providerId", value: provider },
    });
    return await consentPage(request, requested);
  } catch (error) {
    return connectForm(request, entered, consoleError(error));
  }
}

function enteredOf(form: URLSearchParams): Entered {
  return Object.fromEntries(fieldNames.map((name) => [name, (form.get(name) ?? "").trim()])) as Entered;
}

async function connectForm(request: PageRequest, entered: Entered, error?: ConsoleError): Promise<Answer> {
  const { providers } = await request.call(ProviderService.method.listProviders, { pageSize: 1000 });
  const options = providers.map((provider) => [provider.id, displayName(request, provider)] as const);
  const common = { title: "Connect an account", section, ...(error && { status: error.status }) };
  if (providers.length === 0) {
    const content = (
      <div class="card empty">
        <h2>No provider is registered yet.</h2>
        <p>Add the provider first: GitHub, Google, Slack, or any other from the catalogue.</p>
        <Go to="/providers/add" text="Add a provider" />
      </div>
    );
    return consolePage(request, { ...common, content });
  }
  const { provider, user, label, scopes } = entered;
  const content = (
    <div class="split">
      <div>
        {error && <Problem message={error.message} />}
        <PostForm request={request} action={newPath} class="card">
          <Select name="provider" label="Provider" value={provider} required options={options} />
          <Input
            {...{ name: "user", label: "User", value: user, required: true, maxLength: 256 }}
            hint="Your agents' identifier of the person on whose behalf they act."
          />
          <Input
            {...{ name: "label", label: "Label (optional)", value: label, maxLength: 64 }}
            hint="Tells two accounts of this user at this provider apart, for example work."
          />
          <Input
            {...{ name: "scopes", label: "Scopes (optional)", value: scopes }}
            hint="With spaces between them, in place of those of the provider's profile."
          />
          <FormButtons text="Ask for consent" cancel={connectionsPath} />
        </PostForm>
      </div>
      <aside class="soft">
        <h2>What happens next</h2>
        <p>You get a link for the user. It leads to the provider, which asks them to agree.</p>
        <p>When they have agreed, agents get the token by its name: provider and user.</p>
      </aside>
    </div>
  );
  return consolePage(request, { ...common, content });
}
