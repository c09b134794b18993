import type { IncomingMessage, ServerResponse } from "node:http";
import type { Provider } from "oidc-provider";
import { accountId, type SignIn } from "./configuration.js";
import { escapeHtml, show } from "./page.js";
import { readAll } from "./request_body.js";

/** The person's side: a login page and a consent page, plain forms without scripts. */
export async function interact(
  engine: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  signIn: () => SignIn = () => ({}),
): Promise<void> {
  const interaction = await engine.interactionDetails(request, response);
  const fields = new URLSearchParams((await readAll(request)).toString("utf8"));
  const isSubmission = request.method === "POST";

  if (interaction.prompt.name === "login") {
    if (!isSubmission) return show(response, 200, "Sign in", loginForm(""));
    if (fields.get("login") !== accountId) {
      return show(response, 400, "Sign in", loginForm(`There is one account here: ${accountId}.`));
    }
    return engine.interactionFinished(request, response, { login: { accountId, ...signIn() } });
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
  const words = complaint === "" ? "" : `<p class="complaint" role="alert">${escapeHtml(complaint)}</p>\n`;
  return `<form id="provider-login" method="post">
${words}<p><label>Account <input type="text" name="login" value="${accountId}" autocomplete="off"></label></p>
<p class="buttons"><button type="submit" id="continue">Continue</button></p>
</form>`;
}

/** What a person understands; others are shown as they are. */
const scopeWords: Readonly<Record<string, string>> = {
  openid: "Know who you are",
  profile: "See your name",
  email: "See your e-mail address",
  offline_access: "Keep this access while you are away",
};

function consentForm(clientId: string, scopes: readonly string[]): string {
  const items = scopes.map((scope) => {
    const words = Object.hasOwn(scopeWords, scope) ? scopeWords[scope] : undefined;
    const code = `<code>${escapeHtml(scope)}</code>`;
    return `<li>${words === undefined ? code : `${words} ${code}`}</li>`;
  });
  return `<form id="provider-consent" method="post">
<p><b>${escapeHtml(clientId)}</b> wants to use your account <b>${escapeHtml(accountId)}</b>. It asks for:</p>
<ul>${items.join("")}</ul>
<p class="buttons"><button type="submit" id="deny" name="decision" value="deny" class="quiet">Deny</button>
<button type="submit" id="allow" name="decision" value="allow">Allow</button></p>
</form>`;
}
