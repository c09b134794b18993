import { ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { FailingProvider } from "../../../gen/nexus/v1/status_pb.js";
import type { FailingReason } from "../../../model/connections/connections.js";
import { counted } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Facts, Monogram, type View } from "../../../server/pages/kit.js";
import { CopyField, Id } from "../kit/copy.js";
import { eventTable } from "../kit/event_table.js";
import { Ask } from "../kit/forms.js";
import { consolePage, PostForm, seeOther } from "../kit/page.js";
import { Card, Go, Moment, pathWith, Scopes } from "../kit/parts.js";
import { displayName, findEvents, statusOf } from "../kit/queries.js";
import type { PageRequest } from "../kit/request.js";
import { failingAdvice } from "../kit/words.js";
import { failingIn, healthOf, isOAuth2, kindWords, maxFailing, providersPath } from "./providers.js";
import { findTemplate, Notes } from "./templates.js";

const maxProblems = 5;
/** Counted before its deletion. */
const maxCounted = 100;

export async function readProvider({ call, params }: PageRequest): Promise<Provider> {
  const key = { case: "id", value: params["id"] ?? "" } as const;
  const { provider } = await call(ProviderService.method.getProvider, { key });
  if (!provider) throw new Error("an answer without a provider");
  return provider;
}

export async function providerPage(request: PageRequest): Promise<HttpAnswer> {
  return await showProvider(request, await readProvider(request));
}

/** @param warnings of its registration */
export async function showProvider(
  request: PageRequest,
  provider: Provider,
  warnings: readonly string[] = [],
): Promise<HttpAnswer> {
  const [status, template, problems] = await Promise.all([
    statusOf(request, maxFailing),
    findTemplate(request, provider.template),
    problemsOf(request, provider.id),
  ]);
  const failing = failingIn(status);
  const trouble = failing?.get(provider.id);
  const { id, redirectUri } = provider;
  const path = `${providersPath}/${id}`;
  const name = displayName(request, provider);
  const canManage = request.may("provider.manage");
  const client = canManage && isOAuth2(provider) ? `${path}/client` : undefined;
  const actions = (
    <>
      {client && <Go to={client} text="Change the client" kind="quiet" />}
      {request.may("connection.request") && (
        <Go to={pathWith("/connections/new", { provider: id })} text="Connect now" />
      )}
      {canManage && deleteForm(request, path, await activeOf(request, id))}
    </>
  );
  const heading = <span class="named"><Monogram name={name} big /><bdi>{name}</bdi></span>;
  const content = (
    <>
      {warnings.map((warning) => <p class="problem" role="alert">{warning}</p>)}
      {redirectUri !== "" && (
        <Card id="register" title="At the provider">
          <p>Register a client there with this redirect URI, character by character.</p>
          <CopyField id="redirect-uri" label="Redirect URI" value={redirectUri} />
          <Notes template={template} />
        </Card>
      )}
      {failing && (
        <Card id="health" title="Health">
          <p>{healthOf(trouble)}</p>
          {trouble && troubleOf(trouble, request.nowMs)}
          {client && trouble?.reason === "misconfigured" && <Go to={client} text="Change the client" />}
        </Card>
      )}
      {problems}
      <section class="card" aria-labelledby="profile">
        <div class="heading">
          <h2 id="profile">Profile</h2>
          <a href={pathWith("/connections", { provider: id })}>Its connections</a>
        </div>
        {profileFacts(provider, request.nowMs)}
      </section>
    </>
  );
  return consolePage(request, { title: name, heading, actions, section: providersPath, content });
}

/** @param active how many connections it has */
function deleteForm(request: PageRequest, path: string, active: string): View {
  return (
    <PostForm request={request} action={`${path}/delete`} class="apart">
      <Ask id="delete" open="Delete" title="Delete this provider?" yes="Delete the provider">
        <p>The profile and its client secret are erased. Pending requests for consent come to nothing.</p>
        <p><b>{active}</b> will not be refreshed any more: each ends with the token that it has.</p>
      </Ask>
    </PostForm>
  );
}

function troubleOf(failing: FailingProvider, nowMs: number): View {
  const { message, consents, reason, since, failures, connections, retryAt } = failing;
  const isTried = consents && reason === "transient";
  return (
    <>
      <p>{message} {isTried ? "The next consent tries it again." : failingAdvice[reason as FailingReason]}</p>
      <p class="soft">
        Since <Moment time={since} nowMs={nowMs} />, {counted(failures, "failure")} in a row,{" "}
        {counted(Number(connections), "connection")}
        {retryAt && <>; the next attempt <Moment time={retryAt} nowMs={nowMs} /></>}.
      </p>
    </>
  );
}

async function problemsOf(request: PageRequest, providerId: string) {
  if (!request.may("audit.read")) return undefined;
  const filter = { providerId, eventType: "token_refresh_failed" };
  const { found: events } = await findEvents(request, filter, { most: maxProblems });
  if (events.length === 0) return undefined;
  return (
    <section aria-labelledby="problems">
      <h2 id="problems">Last failed refreshes</h2>
      {await eventTable(request, events, "Failed refreshes, the newest first")}
      <p><a href={pathWith("/activity", { provider: providerId, show: "all" })}>Everything about this provider</a></p>
    </section>
  );
}

function profileFacts(provider: Provider, nowMs: number): View {
  const { name, template, clientId, clientSecretSet, issuer, authUrl, tokenUrl, scopes } = provider;
  const secret = clientSecretSet ? "Stored, sealed" : "None: a public client";
  return (
    <Facts
      of={[
        ["Name", <code>{name}</code>],
        ["Template", template],
        ["Connected by", kindWords(provider)],
        ["Client id", clientId && <Id of={clientId} />],
        ["Client secret", isOAuth2(provider) ? secret : ""],
        ["Scopes", scopes.length === 0 ? "" : <Scopes scopes={scopes} />],
        ["Issuer", issuer],
        ["Authorization endpoint", authUrl],
        ["Token endpoint", tokenUrl],
        ["API", provider.apiBaseUrl],
        ["Description", provider.description],
        ["Registered", <Moment time={provider.createdAt} nowMs={nowMs} />],
        ["Changed", <Moment time={provider.updatedAt} nowMs={nowMs} />],
        ["Id", <Id of={provider.id} />],
      ]}
    />
  );
}

/** A number of what is lost, up to `maxCounted`. */
async function activeOf({ call }: PageRequest, providerId: string): Promise<string> {
  const listRequest = { providerId, status: ConnectionStatus.ACTIVE, pageSize: maxCounted };
  const { connections, nextPageToken } = await call(ConnectionService.method.listConnections, listRequest);
  return `${nextPageToken === "" ? "" : "At least "}${counted(connections.length, "active connection")}`;
}

export async function deleteProvider({ call, params }: PageRequest): Promise<HttpAnswer> {
  await call(ProviderService.method.deleteProvider, { id: params["id"] ?? "" });
  return seeOther(providersPath, "provider_deleted");
}
