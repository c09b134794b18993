import { type Provider, ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import type { JsonObject } from "../../model/json.js";
import { changeOfContract, profileOfContract } from "../../model/providers/contract_profile.js";
import { profileSettings } from "../../model/providers/profile_fields.js";
import { unverifiedIdTokenNote } from "../../model/providers/provider_profile.js";
import { changeablePaths } from "../../service/messages/provider_message.js";
import { RestRefusal } from "../../service/pipeline/rest_error.js";
import type { Call } from "../../service/pipeline/rpc_call.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { authTypeOf, draftMessage, mentioned, metadataJson, profileJson } from "./provider_json.js";
import { alias, answer, idOf, type RestRequest, type RestRoute, readFields, routeOf } from "./route.js";

const create = routeOf(ProviderService.method.createProvider, {
  operationId: "createProvider",
  summary: "Registers a provider profile",
  tag: "providers",
  body: "NewProvider",
  success: { status: 201, schema: "ProviderCreated" },
  errors: [409],
  async handle({ body }, call) {
    const profile = readFields(body, (fields) => fields.object("profile"));
    if (!profile) throw new RestRefusal(400, "missing_profile", 'the body must be {"profile": {...}}');
    const json = mentioned(profile);
    const provider = draftMessage(profileOfContract(json), json, false);
    const created = await call(ProviderService.method.createProvider, { provider });
    const registered = stored(created.provider);
    const note = unverifiedIdTokenNote(profileSettings(registered));
    const notes = [...(note === undefined ? [] : [note]), ...created.warnings];
    return answer({ id: registered.id, message: ["Provider profile created", ...notes].join("; ") }, 201);
  },
});

const listMetadata = routeOf(ProviderService.method.listProviders, {
  operationId: "listProviders",
  summary: "Lists the profiles, grouped by type and name",
  tag: "providers",
  success: { status: 200, schema: "ProviderMetadata" },
  errors: [],
  async handle(_request, call) {
    const groups: Record<string, JsonObject> = {};
    for (const provider of await allProviders(call)) {
      const type = authTypeOf(provider);
      groups[type] = { ...groups[type], [provider.name]: metadataJson(provider) };
    }
    return answer(groups);
  },
});

const get = routeOf(ProviderService.method.getProvider, {
  operationId: "getProvider",
  summary: "Reads a profile, without its secret",
  tag: "providers",
  success: { status: 200, schema: "Provider" },
  errors: [404],
  async handle({ params }, call) {
    return answer(profileJson(await readProvider(call, idOf(params["id"]))));
  },
});

const replace = routeOf(ProviderService.method.updateProvider, {
  operationId: "updateProvider",
  summary: "Changes the fields of a profile that are present, and no others",
  tag: "providers",
  body: "ProviderProfile",
  success: { status: 200, schema: "Provider" },
  errors: [404, 409],
  handle: change,
});

const patch = routeOf(replace.rpc, { ...replace, operationId: "patchProvider" });

const remove = routeOf(ProviderService.method.deleteProvider, {
  operationId: "deleteProvider",
  summary: "Deletes a profile; its connections stay, without a provider",
  tag: "providers",
  success: { status: 200, schema: "ProviderDeleted" },
  errors: [404],
  async handle({ params }, call) {
    const { remainingConnections } = await call(ProviderService.method.deleteProvider, {
      id: idOf(params["id"]),
    });
    const message = `Provider profile deleted; connections left without a provider: ${remainingConnections}`;
    return answer({ message, orphaned_connections: remainingConnections });
  },
});

const listNames = alias(listMetadata, {
  summary: "Lists the profiles by id and name",
  success: { status: 200, schema: "ProviderNames" },
  async handle(_request, call) {
    return answer((await allProviders(call)).map(({ id, name }) => ({ id, name })));
  },
});

const getByName = routeOf(get.rpc, {
  ...get,
  operationId: "getProviderByName",
  summary: "Reads a profile by its name, without its secret",
  async handle({ params }, call) {
    const { provider } = await call(ProviderService.method.getProvider, {
      key: { case: "name", value: params["name"] ?? "" },
    });
    return answer(profileJson(stored(provider)));
  },
});

const removeByName = routeOf(remove.rpc, {
  ...remove,
  operationId: "deleteProviderByName",
  summary: "Deletes a profile by its name; its connections stay",
  async handle(request, call) {
    const { provider } = await call(ProviderService.method.getProvider, {
      key: { case: "name", value: request.params["name"] ?? "" },
    });
    return await remove.handle({ ...request, params: { id: stored(provider).id } }, call);
  },
});

export const providerRoutes: readonly RestRoute[] = [
  create,
  listMetadata,
  routeOf(listMetadata.rpc, { ...listMetadata, operationId: "listProviderMetadata" }),
  get,
  replace,
  patch,
  remove,
  alias(create),
  listNames,
  alias(listMetadata, { operationId: "listProviderMetadataAlias" }),
  getByName,
  removeByName,
  alias(get),
  alias(replace),
  alias(patch),
  alias(remove),
];

/** Somebody else may change the profile between our read and our write: then both are done again, so many times. */
const changeAttempts = 5;

async function change({ params, body }: RestRequest, call: Call) {
  const id = idOf(params["id"]);
  for (let attempt = 1; ; attempt++) {
    const before = await readProvider(call, id);
    const json = mentioned(body);
    const draft = changeOfContract(profileSettings(before), json);
    const provider = draftMessage(draft, json, before.clientSecretSet);
    const paths = changeablePaths.filter((path) => path !== "client_secret" || draft.clientSecret);
    try {
      const changed = await call(ProviderService.method.updateProvider, {
        provider: { ...provider, id },
        updateMask: { paths },
        etag: before.etag,
      });
      return answer(profileJson(stored(changed.provider)));
    } catch (error) {
      const lost = error instanceof WireError && error.code === codes.aborted;
      if (!lost || attempt === changeAttempts) throw error;
    }
  }
}

async function readProvider(call: Call, id: string): Promise<Provider> {
  const { provider } = await call(ProviderService.method.getProvider, { key: { case: "id", value: id } });
  return stored(provider);
}

async function allProviders(call: Call): Promise<Provider[]> {
  const all: Provider[] = [];
  let pageToken = "";
  do {
    const page = await call(ProviderService.method.listProviders, { pageSize: 1000, pageToken });
    all.push(...page.providers);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

function stored(provider: Provider | undefined): Provider {
  if (!provider) throw new Error("an answer without its provider");
  return provider;
}
