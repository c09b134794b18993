import { ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { html } from "../../../server/pages/html.js";
import { type ConsoleError, consoleError, errorBox } from "../frame/console_errors.js";
import { postForm } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { consentPage } from "./connection_actions.js";
import { connectionsPath } from "./connection_list.js";

const path = `${connectionsPath}/new`;

/** What was entered. */
interface Entered {
  readonly provider: string;
  readonly user: string;
  readonly label: string;
  readonly scopes: string;
}

/** The form, with a provider chosen by the query where a link says so. */
export function connectPage(visit: ConsoleVisit): Promise<Answer> {
  const provider = visit.query.get("provider") ?? "";
  return formPage(visit, { provider, user: "", label: "", scopes: "" });
}

export async function connect(visit: ConsoleVisit, form: URLSearchParams): Promise<Answer> {
  const field = (name: string): string => (form.get(name) ?? "").trim();
  const entered = {
    provider: field("provider"),
    user: field("user"),
    label: field("label"),
    scopes: field("scopes"),
  };
  const { provider, user: userId, label, scopes } = entered;
  try {
    const requested = await visit.call(ConnectionService.method.requestConnection, {
      ...{ userId, label, scopes: scopes.split(/\s+/).filter((scope) => scope !== "") },
      provider: { case: "providerId", value: provider },
    });
    return await consentPage(visit, requested);
  } catch (error) {
    return formPage(visit, entered, consoleError(error));
  }
}

async function formPage(visit: ConsoleVisit, entered: Entered, error?: ConsoleError): Promise<Answer> {
  const { providers } = await visit.call(ProviderService.method.listProviders, { pageSize: 1000 });
  const options = providers.map(({ id, name, template }) => {
    const selected = id === entered.provider ? html` selected` : undefined;
    return html`<option value="${id}"${selected}>${visit.describe({ providerName: name, template }).displayName}</option>`;
  });
  const fields = html`<div class="field">
<label for="provider">Provider</label>
<select id="provider" name="provider" required>
${options}
</select>
</div>
<div class="field">
<label for="user">User</label>
<p class="hint" id="user-hint">Your agents' identifier of the person on whose behalf they act.</p>
<input id="user" name="user" required maxlength="256" value="${entered.user}" aria-describedby="user-hint" autocomplete="off">
</div>
<div class="field">
<label for="label">Label <span class="hint">(optional)</span></label>
<p class="hint" id="label-hint">Tells two accounts of this user at this provider apart, for example <code>work</code>.</p>
<input id="label" name="label" maxlength="64" value="${entered.label}" aria-describedby="label-hint" autocomplete="off">
</div>
<div class="field">
<label for="scopes">Scopes <span class="hint">(optional)</span></label>
<p class="hint" id="scopes-hint">With spaces between them, in place of those of the provider's profile.</p>
<input id="scopes" name="scopes" value="${entered.scopes}" aria-describedby="scopes-hint" autocomplete="off">
</div>
<div class="actions"><button type="submit">Ask for consent</button> <a class="button quiet" href="${connectionsPath}">Cancel</a></div>`;
  const body =
    providers.length === 0
      ? html`<p class="soft">No provider is registered yet: <code>nexusd provider add</code> registers one.</p>`
      : html`<div class="card narrow">${postForm(visit, path, fields)}</div>`;
  const content = html`${error && errorBox(error)}
${body}`;
  return consolePage(visit, {
    title: "Connect",
    room: connectionsPath,
    content,
    ...(error && { status: error.status }),
  });
}
