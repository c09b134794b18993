import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type CreateProviderRequestSchema,
  ProviderService,
  type ProviderTemplate,
  TokenEndpointAuthMethod,
} from "../../../gen/nexus/v1/provider_pb.js";
import { hasPrivateKey } from "../../../model/credentials/credentials.js";
import { NotFound } from "../../../model/model.js";
import { isConsented, profileSettings } from "../../../model/providers/providers.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Area, Input, type View } from "../../../server/pages/kit.js";
import { CopyField } from "../kit/copy.js";
import { fieldsOf, formErrors, formPage, type MakeField, type SentForm } from "../kit/forms.js";
import { seeOther } from "../kit/page.js";
import { type PageRequest, refuseUnless } from "../kit/request.js";
import { notKept, secretField } from "./client.js";
import { showProvider } from "./provider.js";
import { isOAuth2, providersPath } from "./providers.js";
import { findTemplate, Notes } from "./templates.js";

type Template = ProviderTemplate | undefined;

/** Default scopes for an OpenID provider, so that it returns a refresh token. */
const usualScopes = "openid email offline_access";

/** The form of a template, or of a provider that the catalogue lacks. */
export async function addPage(request: PageRequest): Promise<HttpAnswer> {
  return addForm(request, await readTemplate(request));
}

/** Undefined where the path names none. @throws NotFound */
async function readTemplate(request: PageRequest): Promise<Template> {
  const { template: name } = request.params;
  if (name === undefined) return undefined;
  const template = await findTemplate(request, name);
  if (!template) throw new NotFound("template");
  return template;
}

export async function addProvider(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const template = await readTemplate(request);
  try {
    const created = await request.call(ProviderService.method.createProvider, requestOf(template, form));
    const { provider, warnings } = created;
    if (!provider) throw new Error("an answer without a provider");
    // A page that is rendered once has no address of its own.
    if (warnings.length > 0) return await showProvider(request, provider, warnings);
    return seeOther(`${providersPath}/${provider.id}`, "provider_added");
  } catch (error) {
    return addForm(request, template, { form, errors: formErrors(error) });
  }
}

type CreateRequest = MessageInitShape<typeof CreateProviderRequestSchema>;

function requestOf(template: Template, form: URLSearchParams): CreateRequest {
  const text = (name: string): string => (form.get(name) ?? "").trim();
  const ticked = form.getAll("scope");
  const isUsual = template && ticked.length === 0 && text("scopes") === scopesOf(template);
  const scopes = isUsual ? [] : [...text("scopes").split(/[\s,]+/), ...ticked];
  const clientSecret = text("client_secret");
  const isClient = !template?.provider || isOAuth2(template.provider);
  const isPublic = isClient && clientSecret === "" && !wantsKey(template);
  const variables = (template?.variables ?? []).map(({ name }) => [name, text(`var-${name}`)] as const);
  return {
    template: template?.name ?? "",
    templateVariables: Object.fromEntries(variables.filter(([, value]) => value !== "")),
    provider: {
      name: text("name") === template?.name ? "" : text("name"),
      scopes: [...new Set(scopes)].filter((scope) => scope !== ""),
      ...(isClient && { clientId: text("client_id"), clientSecret }),
      ...(isPublic && { tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE }),
      ...(template === undefined && { issuer: text("issuer"), enableDiscovery: true }),
    },
  };
}

function scopesOf(template: Template): string {
  return template ? (template.provider?.scopes.join(" ") ?? "") : usualScopes;
}

/** The client proves who it is by a private key. */
function wantsKey(template: Template): boolean {
  return template?.provider !== undefined && hasPrivateKey(profileSettings(template.provider));
}

function addForm(request: PageRequest, template: Template, sent?: SentForm): HttpAnswer {
  refuseUnless(request, "provider.manage");
  const { provider, name = "", displayName = "another OpenID Connect provider" } = template ?? {};
  const isConsent = !provider || isConsented(profileSettings(provider));
  const field = fieldsOf(sent);
  const fields = (
    <>
      <Input
        {...field("name", "Name", { value: template?.name, required: true, maxLength: 63 })}
        hint="By which agents ask for it: small letters, digits and dashes."
      />
      {template?.variables.map((one) => (
        <Input
          {...field(`var-${one.name}`, one.name.replaceAll("_", " "), {
            ...{ value: one.defaultValue, required: one.defaultValue === "" },
            at: `template_variables["${one.name}"]`,
          })}
          hint={`${one.description}.`}
        />
      ))}
      {!template && (
        <Input
          {...field("issuer", "Issuer", { required: true })}
          type="url"
          hint={<>Its document at <code>/.well-known/openid-configuration</code> says the rest.</>}
        />
      )}
      {(!provider || isOAuth2(provider)) && clientFields(template, field, sent !== undefined)}
      {template && moreScopes(request, template, sent)}
    </>
  );
  return formPage(request, {
    ...{ title: `Add ${displayName}`, section: providersPath, fields, sent },
    ...{ heading: isConsent ? "2. Enter the client here" : "Enter the client here" },
    action: template ? `${providersPath}/add/${encodeURIComponent(name)}` : `${providersPath}/new`,
    ...{ submit: `Add ${displayName}`, cancel: `${providersPath}/add` },
    aside: (isConsent || template) && atTheProvider(template, isConsent),
  });
}

/** What the provider's console wants, before anything is entered here. */
function atTheProvider(template: Template, isConsent: boolean): View {
  const uri = template?.redirectUri ?? "";
  return (
    <aside class="card first" aria-labelledby="there">
      <h2 id="there">{isConsent ? "1. Register a client at the provider" : "At the provider"}</h2>
      {!isConsent && <p>There is no redirect URI to register.</p>}
      {isConsent && uri === "" && <p>You get the redirect URI for it after you add the provider here.</p>}
      {isConsent && uri !== "" && (
        <>
          <p>Enter this redirect URI there. If you choose another name here, the URI ends with that name.</p>
          <CopyField id="redirect-uri" label="Redirect URI" value={uri} />
        </>
      )}
      <Notes template={template} />
    </aside>
  );
}

/** Scopes that the catalogue has words for, beyond those that are requested anyway. */
function moreScopes({ describe }: PageRequest, { name, provider }: ProviderTemplate, sent?: SentForm): View {
  const ofAll = describe({ providerName: name }).scopes;
  const known = Object.entries(describe({ providerName: name, template: name }).scopes).filter(
    ([scope]) => !Object.hasOwn(ofAll, scope) && !provider?.scopes.includes(scope),
  );
  const ticked = sent?.form.getAll("scope") ?? [];
  return known.length > 0 && (
    <fieldset>
      <legend>More that agents may do</legend>
      {known.map(([scope, words]) => (
        <label class="tick">
          <input type="checkbox" name="scope" value={scope} checked={ticked.includes(scope)} />
          <span>{words} <code class="soft">{scope}</code></span>
        </label>
      ))}
    </fieldset>
  );
}

function clientFields(template: Template, field: MakeField, isAgain: boolean): View {
  const again = isAgain ? notKept : "";
  const isKey = wantsKey(template);
  const hint = isKey
    ? `As PEM, JWK or the key file.${again}`
    : `Sealed in the store, and never shown again. Empty for a public client.${again}`;
  return (
    <>
      <Input {...field("client_id", "Client id", { required: true, maxLength: 1024 })} />
      {secretField(field, { kind: isKey ? "key" : "secret", label: isKey ? "Private key" : "Client secret", hint })}
      <Area
        {...field("scopes", "Scopes", { value: scopesOf(template) })}
        hint="Separated by spaces. Agents get what these allow, unless a request asks for others."
      />
    </>
  );
}
