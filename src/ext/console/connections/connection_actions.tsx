import {
  ConnectionService,
  type ConnectionServiceRequestConnectionResponse as Requested,
} from "../../../gen/nexus/v1/connection_pb.js";
import { counted } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Input, Select } from "../../../server/pages/kit.js";
import { CopyButton } from "../kit/copy.js";
import { consoleError, fieldsOf, formErrors, formPage, type SentForm } from "../kit/forms.js";
import { consolePage, seeOther } from "../kit/page.js";
import { Empty, Go, LiveMark, Moment } from "../kit/parts.js";
import { allProviders, displayName, providerNames } from "../kit/queries.js";
import { type PageRequest, textsOf } from "../kit/request.js";
import { connectionCard, readConnection } from "./connection.js";
import { connectionsPath } from "./connection_row.js";

const section = connectionsPath;
const newPath = `${connectionsPath}/new`;
/** As many as a list has rows, with room for those that came while it was looked at. */
const maxBulk = 200;

export async function refresh({ call, params }: PageRequest): Promise<HttpAnswer> {
  const { id: connectionId = "" } = params;
  await call(ConnectionService.method.refreshConnection, { connectionId });
  return seeOther(`${connectionsPath}/${connectionId}`, "refreshed");
}

export async function revoke({ call, params }: PageRequest): Promise<HttpAnswer> {
  const { id: connectionId = "" } = params;
  await call(ConnectionService.method.revokeConnection, { connectionId });
  return seeOther(`${connectionsPath}/${connectionId}`, "revoked");
}

export async function consentAgain(request: PageRequest): Promise<HttpAnswer> {
  const { id: connectionId = "" } = request.params;
  return consentPage(request, await request.call(ConnectionService.method.requestConnection, { connectionId }));
}

/** The link for the person who is to consent; they may use another machine. */
async function consentPage(request: PageRequest, requested: Requested): Promise<HttpAnswer> {
  const { connectionId, authUrl, expiresAt, redirectUri } = requested;
  const path = `${connectionsPath}/${connectionId}`;
  // No person is needed: it is connected.
  if (requested.connection) return seeOther(path, "connected");
  const connection = await readConnection(request, connectionId);
  const nameOf = await providerNames(request);
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
        <div class="heading"><h2>The connection</h2><LiveMark /></div>
        {connectionCard(connection, { nameOf, nowMs })}
      </section>
      <p><a href={path}>Go to the connection</a></p>
    </>
  );
  return consolePage(request, { title: `Consent at ${nameOf(connection)}`, section, content });
}

/** Acts on the connections that were selected. */
export async function bulk(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const ids = [...new Set(form.getAll("id"))].slice(0, maxBulk);
  if (ids.length === 0) return seeOther(connectionsPath, "none_selected");
  const isEnd = form.get("do") === "revoke";
  const { refreshConnection, revokeConnection } = ConnectionService.method;
  const failures: string[] = [];
  for (const connectionId of ids) {
    try {
      if (isEnd) await request.call(revokeConnection, { connectionId });
      else await request.call(refreshConnection, { connectionId });
    } catch (error) {
      failures.push(`${connectionId}: ${consoleError(error).message}`);
    }
  }
  if (failures.length === 0) return seeOther(connectionsPath, isEnd ? "all_revoked" : "all_refreshed");
  const content = (
    <div class="problem" role="alert">
      <p><b>{counted(ids.length - failures.length, "connection")} done.</b> The others were refused:</p>
      <ul>{failures.map((failure) => <li>{failure}</li>)}</ul>
    </div>
  );
  return consolePage(request, { title: "Not all were done", section, content });
}

export async function connect(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const { user: userId, label, scopes, provider } = textsOf(form, ["user", "label", "scopes", "provider"]);
  try {
    const requested = await request.call(ConnectionService.method.requestConnection, {
      ...{ userId, label, scopes: scopes.split(/\s+/).filter((scope) => scope !== "") },
      provider: { case: "providerId", value: provider },
    });
    return await consentPage(request, requested);
  } catch (error) {
    return connectForm(request, { form, errors: formErrors(error) });
  }
}

/** The form, with a provider and user chosen by the query where a link names them. */
export async function connectForm(request: PageRequest, sent?: SentForm): Promise<HttpAnswer> {
  const providers = await allProviders(request);
  const options = providers.map((provider) => [provider.id, displayName(request, provider)] as const);
  const title = "Connect an account";
  if (providers.length === 0) {
    const content = (
      <Empty title="No provider is registered yet." command="nexusd provider add">
        <p>Add the provider first: GitHub, Google, Slack, or any other from the catalogue.</p>
        <p><Go to="/providers/add" text="Add a provider" /></p>
      </Empty>
    );
    return consolePage(request, { title, section, content });
  }
  const field = fieldsOf(sent ?? { form: request.query });
  const fields = (
    <>
      <Select {...field("provider", "Provider", { at: "provider_id", required: true })} options={options} />
      <Input
        {...field("user", "User", { at: "user_id", required: true, maxLength: 256 })}
        hint="Your agents' identifier of the person on whose behalf they act."
      />
      <Input
        {...field("label", "Label (optional)", { maxLength: 64 })}
        hint="Distinguishes two accounts of this user at this provider, for example work."
      />
      <Input
        {...field("scopes", "Scopes (optional)")}
        hint="Separated by spaces. Empty for those of the provider's profile."
      />
    </>
  );
  const aside = (
    <aside class="soft">
      <h2>What happens next</h2>
      <p>You get a link for the user. It leads to the provider, which asks them to agree.</p>
      <p>When they have agreed, agents get the token by its name: provider and user.</p>
    </aside>
  );
  return formPage(request, {
    ...{ title, section, action: newPath, submit: "Ask for consent", cancel: connectionsPath },
    ...{ fields, sent, aside },
  });
}
