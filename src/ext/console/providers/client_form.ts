import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Provider,
  ProviderService,
  TokenEndpointAuthMethod,
  type UpdateProviderRequestSchema,
} from "../../../gen/nexus/v1/provider_pb.js";
import {
  grantedByFile,
  hasPrivateKey,
  hasSecretBesideJwt,
  provesByFile,
  provesByTls,
  signsByKeyFile,
} from "../../../model/clients/client_proof.js";
import { InvalidArgument } from "../../../model/errors.js";
import { profileSettings } from "../../../model/providers/profile_fields.js";
import { counted } from "../../../model/quantity_text.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { postForm, seeOther } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import { type ConsoleVisit, refuseUnless } from "../frame/console_visit.js";
import { areaField, inputField } from "../frame/fields.js";
import { errorSummary, type FormErrors, formErrors } from "../frame/form_errors.js";
import { providersPath } from "./provider_list.js";
import { readProvider, showProvider } from "./provider_page.js";
import { isOAuth2, nameOf } from "./provider_words.js";

type Request = MessageInitShape<typeof UpdateProviderRequestSchema>;

/** What was sent, and why it was refused. */
interface Sent {
  readonly form: URLSearchParams;
  readonly errors: FormErrors;
}

/** The form in which the client of a provider is exchanged. */
export async function clientPage(visit: ConsoleVisit): Promise<Answer> {
  refuseUnless(visit, "provider.manage");
  return formPage(visit, await readClient(visit));
}

export async function changeClient(visit: ConsoleVisit, form: URLSearchParams): Promise<Answer> {
  const provider = await readClient(visit);
  try {
    const request = requestOf(provider, form);
    if (request === undefined) return seeOther(`${providersPath}/${provider.id}`, "client_kept");
    const { provider: changed, partedConnections } = await visit.call(
      ProviderService.method.updateProvider,
      request,
    );
    if (!changed) throw new Error("an answer without a provider");
    if (partedConnections === 0) return seeOther(`${providersPath}/${provider.id}`, "client_changed");
    // What is said once has no address of its own.
    const parted = `The client was changed. ${counted(partedConnections, "connection")} of the former client ${
      partedConnections === 1 ? "waits" : "wait"
    } for consent, until a person consents again or the former client id is set back.`;
    return await showProvider(visit, changed, [parted]);
  } catch (error) {
    return formPage(visit, await readClient(visit), { form, errors: formErrors(error) });
  }
}

/** @throws InvalidArgument for one that has no client, as that of an API key */
async function readClient(visit: ConsoleVisit): Promise<Provider> {
  const provider = await readProvider(visit);
  if (!isOAuth2(provider)) {
    const description = "names a provider whose credentials are entered by people: it has no client";
    throw new InvalidArgument([{ field: "id", description }]);
  }
  return provider;
}

/** What is sealed for a client of this kind. */
function secretKind(provider: Provider): "secret" | "key" | "none" {
  const settings = profileSettings(provider);
  // The key of a certificate comes with the certificate.
  if (hasSecretBesideJwt(settings)) return "secret";
  if ([provesByFile, provesByTls, grantedByFile, signsByKeyFile].some((holds) => holds(settings)))
    return "none";
  return hasPrivateKey(settings) ? "key" : "secret";
}

/** Undefined where what was sent is what is stored. @throws InvalidArgument */
function requestOf(provider: Provider, form: URLSearchParams): Request | undefined {
  const kind = secretKind(provider);
  const clientId = (form.get("client_id") ?? "").trim();
  const clientSecret = kind === "none" ? "" : (form.get("client_secret") ?? "").trim();
  const isOther = clientId !== provider.clientId;
  if (!isOther && clientSecret === "") return undefined;
  if (isOther && clientSecret === "" && kind === "secret" && provider.clientSecretSet) {
    const description = "is needed with another client id: the stored one belongs to the former client";
    throw new InvalidArgument([{ field: "client_secret", description }]);
  }
  const isPublic = provider.tokenEndpointAuthMethod === TokenEndpointAuthMethod.NONE;
  const paths = [
    "client_id",
    ...(clientSecret === "" ? [] : ["client_secret"]),
    // It is a public client no more: the secret is sent in the usual way.
    ...(clientSecret !== "" && isPublic && kind === "secret" ? ["token_endpoint_auth_method"] : []),
  ];
  return {
    provider: { id: provider.id, clientId, clientSecret },
    updateMask: { paths },
    etag: form.get("etag") ?? "",
  };
}

function formPage(visit: ConsoleVisit, provider: Provider, sent?: Sent): Answer {
  const path = `${providersPath}/${provider.id}`;
  const idField = inputField({
    name: "client_id",
    label: "Client id",
    // Where somebody else changed it meanwhile, what they wrote stands.
    value: (sent?.errors.status === 409 ? undefined : sent?.form.get("client_id")) ?? provider.clientId,
    hint: "With another one, connections of the former client need consent again.",
    error: sent?.errors.take("client_id"),
    isRequired: true,
    maxLength: 1024,
  });
  const form = postForm(
    visit,
    `${path}/client`,
    html`<input type="hidden" name="etag" value="${provider.etag}">
${idField}
${secretField(provider, sent)}
<div class="actions"><button type="submit">Change the client</button> <a class="button quiet" href="${path}">Cancel</a></div>`,
  );
  const content = html`<div class="narrow">
${sent && errorSummary(sent.errors.rest())}
<section class="card" aria-labelledby="client"><h2 id="client">As the provider's console has it</h2>
${form}
</section>
</div>`;
  const title = `Client of ${nameOf(visit, provider)}`;
  return consolePage(visit, { title, room: providersPath, content, status: sent?.errors.status ?? 200 });
}

function secretField(provider: Provider, sent: Sent | undefined): Html | undefined {
  const kind = secretKind(provider);
  if (kind === "none") return undefined;
  const stored = provider.clientSecretSet
    ? "Empty keeps the stored one, which is never shown."
    : "A public client: it has none.";
  const again =
    sent && (sent.form.get("client_secret") ?? "") !== ""
      ? " What was entered is not kept: enter it again."
      : "";
  const field = {
    name: "client_secret",
    error: sent?.errors.take("client_secret"),
    hint: `${stored}${again}`,
  };
  return kind === "key"
    ? areaField({ ...field, label: "New private key", rows: 5 })
    : inputField({ ...field, label: "New client secret", type: "password", maxLength: 4096 });
}
