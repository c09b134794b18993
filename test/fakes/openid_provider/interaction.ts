import type { IncomingMessage, ServerResponse } from "node:http";
import type { Provider } from "oidc-provider";
import { accountId } from "./configuration.js";
import { escapeHtml, show } from "./page.js";
import { readAll } from "./request_body.js";

/** The person's side: a login page and a consent page, plain forms without scripts. */
export async function interact(
  engine: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await engine.interactionDetails(request, response);
  const fields = new URLSearchParams((await readAll(request)).toString("utf8"));
  const isSubmission = request.method === "POST";

  if (interaction.prompt.name === "login") {
    if (!isSubmission) return show(response, 200, "Sign in", loginForm(""));
    if (fields.get("login") !== accountId) {
      return show(response, 400, "Sign in", loginForm(`There is one account here: ${accountId}.`));
    }
    return engine.interactionFinished(request, response, { login: { accountId } });
  }

  const clientId = String(interaction.params["client_id"]);
  const { missingOIDCScope: scopes = [], missingOIDCClaims: claims = [] } = interaction.prompt.details;
  const resources = Object.entries(interaction.prompt.details.missingResourceScopes ?? {});
  if (!isSubmission)
    return show(
      response,
      200,
      "Allow access?",
      consentForm(clientId, [...scopes, ...resources.flatMap(([, more]) => more)]),
    );
  if (fields.get("decision") !== "allow") {
    const result = { error: "access_denied", error_description: "the person said no" };
    return engine.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  const grant = new engine.Grant({ accountId: interaction.session?.accountId ?? accountId, clientId });
  if (scopes.length > 0) grant.addOIDCScope(scopes.join(" "));
  if (claims.length > 0) grant.addOIDCClaims(claims);
  for (const [resource, more] of resources) grant.addResourceScope(resource, more.join(" "));
  await engine.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

function loginForm(complaint: string): string {
  return `<form id="provider-login" method="post">
<p>${escapeHtml(complaint)}</p>
<p><label>Account <input type="text" name="login" value="${accountId}" autocomplete="off"></label></p>
<p><button type="submit" id="continue">Continue</button></p>
</form>`;
}

function consentForm(clientId: string, scopes: readonly string[]): string {
  const items = scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join("");
  return `<form id="provider-consent" method="post">
<p>${escapeHtml(clientId)} asks for:</p>
<ul>${items}</ul>
<p><button type="submit" id="allow" name="decision" value="allow">Allow</button>
<button type="submit" id="deny" name="decision" value="deny">Deny</button></p>
</form>`;
}
