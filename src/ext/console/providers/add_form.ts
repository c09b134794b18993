import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type CreateProviderRequestSchema,
  ProviderService,
  type ProviderTemplate,
  TokenEndpointAuthMethod,
} from "../../../gen/nexus/v1/provider_pb.js";
import { hasPrivateKey } from "../../../model/clients/client_proof.js";
import { NotFound } from "../../../model/errors.js";
import { isConsented } from "../../../model/providers/grant_type.js";
import { profileSettings } from "../../../model/providers/profile_fields.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { postForm, seeOther } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import { type ConsoleVisit, refuseUnless } from "../frame/console_visit.js";
import { areaField, inputField } from "../frame/fields.js";
import { errorSummary, type FormErrors, formErrors } from "../frame/form_errors.js";
import { providersPath } from "./provider_list.js";
import { showProvider } from "./provider_page.js";
import { isOAuth2 } from "./provider_words.js";
import { copyField, docsLink, findTemplate, notesOf } from "./template_parts.js";

/** What was sent, and why it was refused. */
interface Sent {
  readonly form: URLSearchParams;
  readonly errors: FormErrors;
}

type Request = MessageInitShape<typeof CreateProviderRequestSchema>;

/** What an own OpenID provider is asked for, so that a refresh token comes. */
const usualScopes = "openid email offline_access";

/** The form of a template. */
export async function templatePage(visit: ConsoleVisit): Promise<Answer> {
  const template = await findTemplate(visit, visit.params["template"] ?? "");
  if (!template) throw new NotFound("template");
  return formPage(visit, template);
}

/** The form of a provider that the catalogue lacks. */
export async function ownPage(visit: ConsoleVisit): Promise<Answer> {
  return formPage(visit, undefined);
}

export async function addFromTemplate(visit: ConsoleVisit, form: URLSearchParams): Promise<Answer> {
  const template = await findTemplate(visit, visit.params["template"] ?? "");
  if (!template) throw new NotFound("template");
  return await add(visit, template, form);
}

export async function addOwn(visit: ConsoleVisit, form: URLSearchParams): Promise<Answer> {
  return await add(visit, undefined, form);
}

async function add(
  visit: ConsoleVisit,
  template: ProviderTemplate | undefined,
  form: URLSearchParams,
): Promise<Answer> {
  try {
    const request = requestOf(template, form);
    const { provider, warnings } = await visit.call(ProviderService.method.createProvider, request);
    if (!provider) throw new Error("an answer without a provider");
    // What is said once has no address of its own.
    if (warnings.length > 0) return await showProvider(visit, provider, warnings);
    return seeOther(`${providersPath}/${provider.id}`, "provider_added");
  } catch (error) {
    return formPage(visit, template, { form, errors: formErrors(error) });
  }
}

function requestOf(template: ProviderTemplate | undefined, form: URLSearchParams): Request {
  const text = (name: string): string => (form.get(name) ?? "").trim();
  const scopes = text("scopes") === scopesOf(template) && template ? "" : text("scopes");
  const clientSecret = text("client_secret");
  const isClient = !template?.provider || isOAuth2(template.provider);
  const isPublic = isClient && clientSecret === "" && !wantsKey(template);
  const variables = (template?.variables ?? []).map(({ name }) => [name, text(`var-${name}`)] as const);
  return {
    template: template?.name ?? "",
    templateVariables: Object.fromEntries(variables.filter(([, value]) => value !== "")),
    provider: {
      name: text("name") === template?.name ? "" : text("name"),
      scopes: scopes.split(/[\s,]+/).filter((scope) => scope !== ""),
      ...(isClient && { clientId: text("client_id"), clientSecret }),
      ...(isPublic && { tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE }),
      ...(template === undefined && { issuer: text("issuer"), enableDiscovery: true }),
    },
  };
}

function scopesOf(template: ProviderTemplate | undefined): string {
  return template ? (template.provider?.scopes.join(" ") ?? "") : usualScopes;
}

/** The client proves who it is by a private key. */
function wantsKey(template: ProviderTemplate | undefined): boolean {
  return template?.provider !== undefined && hasPrivateKey(profileSettings(template.provider));
}

function formPage(visit: ConsoleVisit, template: ProviderTemplate | undefined, sent?: Sent): Answer {
  refuseUnless(visit, "provider.manage");
  const { provider, name = "", displayName = "another OpenID Connect provider" } = template ?? {};
  const isConsent = !provider || isConsented(profileSettings(provider));
  const isClient = !provider || isOAuth2(provider);
  const action = template ? `${providersPath}/add/${encodeURIComponent(name)}` : `${providersPath}/new`;
  const fields = [
    nameField(template, sent),
    ...(template ? variableFields(template, sent) : [issuerField(sent)]),
    ...(isClient ? clientFields(template, sent) : []),
  ];
  const form = postForm(
    visit,
    action,
    html`${fields}
<div class="actions"><button type="submit">Add ${displayName}</button> <a class="button quiet" href="${providersPath}/add">Cancel</a></div>`,
  );
  const content = html`<div class="narrow">
${sent && errorSummary(sent.errors.rest())}
${isConsent || template ? atTheProvider(template, isConsent) : undefined}
<section class="card" aria-labelledby="profile"><h2 id="profile">Here</h2>
${form}
</section>
</div>`;
  const title = `Add ${displayName}`;
  return consolePage(visit, { title, room: providersPath, content, status: sent?.errors.status ?? 200 });
}

/** What the provider's console wants, before anything is entered here. */
function atTheProvider(template: ProviderTemplate | undefined, isConsent: boolean): Html {
  const uri = template?.redirectUri ?? "";
  const register = isConsent
    ? html`<p>Register a client there${uri === "" ? ": its redirect URI is shown when the provider was added here" : ""}.</p>
${uri === "" ? undefined : copyField("redirect-uri", "Redirect URI", uri)}
${uri === "" ? undefined : html`<p class="hint">With another name than the template's, its end is that name; the page of the provider shows it.</p>`}`
    : html`<p>There is no redirect URI to register.</p>`;
  return html`<section class="card" aria-labelledby="there"><h2 id="there">At the provider</h2>
${register}
${template && docsLink(template)}
${template && notesOf(template)}
</section>`;
}

function nameField(template: ProviderTemplate | undefined, sent: Sent | undefined): Html {
  return inputField({
    name: "name",
    label: "Name",
    value: sent?.form.get("name") ?? template?.name,
    hint: "By which agents ask for it: small letters, digits and dashes.",
    error: sent?.errors.take("name"),
    isRequired: true,
    maxLength: 63,
  });
}

function issuerField(sent: Sent | undefined): Html {
  return inputField({
    name: "issuer",
    label: "Issuer",
    type: "url",
    value: sent?.form.get("issuer") ?? undefined,
    hint: html`Its document at <code>/.well-known/openid-configuration</code> says the rest.`,
    error: sent?.errors.take("issuer"),
    isRequired: true,
  });
}

function variableFields({ variables }: ProviderTemplate, sent: Sent | undefined): Html[] {
  return variables.map(({ name, description, defaultValue }) =>
    inputField({
      name: `var-${name}`,
      label: name.replaceAll("_", " "),
      value: sent?.form.get(`var-${name}`) ?? defaultValue,
      hint: `${description}.`,
      error: sent?.errors.take(`template_variables["${name}"]`),
      isRequired: defaultValue === "",
    }),
  );
}

function clientFields(template: ProviderTemplate | undefined, sent: Sent | undefined): Html[] {
  const again = sent ? " What was entered is not kept: enter it again." : "";
  const secret = { name: "client_secret", error: sent?.errors.take("client_secret") };
  return [
    inputField({
      name: "client_id",
      label: "Client id",
      value: sent?.form.get("client_id") ?? undefined,
      error: sent?.errors.take("client_id"),
      isRequired: true,
      maxLength: 1024,
    }),
    wantsKey(template)
      ? areaField({ ...secret, label: "Private key", hint: `As PEM, JWK or the key file.${again}`, rows: 5 })
      : inputField({
          ...secret,
          label: "Client secret",
          type: "password",
          hint: `Sealed in the store, and never shown again. Empty for a public client.${again}`,
          maxLength: 4096,
        }),
    areaField({
      name: "scopes",
      label: "Scopes",
      value: sent?.form.get("scopes") ?? scopesOf(template),
      hint: "With spaces between. Agents get what these allow, unless a request asks for others.",
      error: sent?.errors.take("scopes"),
    }),
  ];
}
