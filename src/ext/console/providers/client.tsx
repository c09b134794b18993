import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Provider,
  ProviderService,
  TokenEndpointAuthMethod,
  type UpdateProviderRequestSchema,
} from "../../../gen/nexus/v1/provider_pb.js";
import { grantedByFile, hasPrivateKey, hasSecretBesideJwt, provesByFile, provesByTls, signsByKeyFile } from "../../../model/credentials/credentials.js";
import { counted, InvalidArgument } from "../../../model/model.js";
import { profileSettings } from "../../../model/providers/providers.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Area, Input, type View } from "../../../server/pages/kit.js";
import { fieldsOf, formErrors, formPage, type MakeField, type SentForm } from "../kit/forms.js";
import { seeOther } from "../kit/page.js";
import { displayName } from "../kit/queries.js";
import { type PageRequest, refuseUnless, textsOf } from "../kit/request.js";
import { readProvider, showProvider } from "./provider.js";
import { isOAuth2, providersPath } from "./providers.js";

/** Of a secret in a form that has to be sent again. */
export const notKept = " What was entered is not kept: enter it again.";

type UpdateRequest = MessageInitShape<typeof UpdateProviderRequestSchema>;

/** The form in which the client of a provider is exchanged. */
export async function clientPage(request: PageRequest): Promise<HttpAnswer> {
  refuseUnless(request, "provider.manage");
  return clientForm(request, await readClient(request));
}

export async function changeClient(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const provider = await readClient(request);
  const path = `${providersPath}/${provider.id}`;
  try {
    const change = requestOf(provider, form);
    if (change === undefined) return seeOther(path, "client_kept");
    const changed = await request.call(ProviderService.method.updateProvider, change);
    const { partedConnections: parted } = changed;
    if (!changed.provider) throw new Error("an answer without a provider");
    if (parted === 0) return seeOther(path, "client_changed");
    // A page that is rendered once has no address of its own.
    const wait = parted === 1 ? "waits" : "wait";
    const warning = `The client was changed. ${counted(parted, "connection")} of the former client ${wait} for consent: consent again, or set the former client id back.`;
    return await showProvider(request, changed.provider, [warning]);
  } catch (error) {
    return clientForm(request, await readClient(request), { form, errors: formErrors(error) });
  }
}

/** @throws InvalidArgument for one that has no client, as that of an API key */
async function readClient(request: PageRequest): Promise<Provider> {
  const provider = await readProvider(request);
  if (isOAuth2(provider)) return provider;
  const description = "names a provider whose credentials are entered by people: it has no client";
  throw new InvalidArgument([{ field: "id", description }]);
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
function requestOf(provider: Provider, form: URLSearchParams): UpdateRequest | undefined {
  const kind = secretKind(provider);
  const { client_id: clientId, client_secret: sent } = textsOf(form, ["client_id", "client_secret"]);
  const clientSecret = kind === "none" ? "" : sent;
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

function clientForm(request: PageRequest, provider: Provider, sent?: SentForm): HttpAnswer {
  const path = `${providersPath}/${provider.id}`;
  const field = fieldsOf(sent);
  // Where somebody else changed it meanwhile, what they wrote stands.
  const isNewer = sent?.errors.status === 409;
  const clientId = field("client_id", "Client id", { value: provider.clientId, maxLength: 1024 });
  const kind = secretKind(provider);
  const again = sent?.form.get("client_secret") ? notKept : "";
  const stored = provider.clientSecretSet
    ? "Empty keeps the stored one, which is never shown."
    : "A public client: it has none.";
  const fields = (
    <>
      <input type="hidden" name="etag" value={provider.etag} />
      <Input
        {...{ ...clientId, required: true, ...(isNewer && { value: provider.clientId }) }}
        hint="With another one, connections of the former client need consent again."
      />
      {kind !== "none" && secretField(field, { kind, label: kind === "key" ? "New private key" : "New client secret", hint: `${stored}${again}` })}
    </>
  );
  return formPage(request, {
    ...{ title: `Client of ${displayName(request, provider)}`, section: providersPath, fields, sent },
    ...{ heading: "As the provider's console has it", action: `${path}/client` },
    ...{ submit: "Change the client", cancel: path },
  });
}

/** What was entered never comes back. */
export function secretField(
  field: MakeField,
  { kind, label, hint }: { readonly kind: "secret" | "key"; readonly label: string; readonly hint: string },
): View {
  const common = { ...field("client_secret", label), value: "", hint };
  return kind === "key" ? <Area {...common} rows={5} /> : <Input {...common} type="password" maxLength={4096} />;
}
