import { create } from "@bufbuild/protobuf";
import type { AccessControl } from "../domain/access_control.js";
import type { ProviderRegistry } from "../domain/provider_registry.js";
import {
  CreateProviderResponseSchema,
  DeleteProviderResponseSchema,
  GetProviderResponseSchema,
  ListProvidersResponseSchema,
  ListProviderTemplatesResponseSchema,
  type Provider,
  ProviderService,
  UpdateProviderResponseSchema,
} from "../gen/nexus/v1/provider_pb.js";
import { InvalidArgument } from "../model/errors.js";
import { isId } from "../model/ids.js";
import {
  authTypes,
  canonicalName,
  type ProviderProfile,
  type ProviderSettings,
} from "../model/provider_profile.js";
import { bindService } from "./bind_service.js";
import type { BoundService } from "./bound_service.js";
import { decodePageToken, encodePageToken, pageSize } from "./page_token.js";
import { changeOf, clientSecretOf, providerMessage, settingsOf, versionOfEtag } from "./provider_message.js";
import { settingsOver, type Templates, templateMessage } from "./template_message.js";

export function providerService(options: {
  readonly registry: Pick<
    ProviderRegistry,
    "create" | "get" | "list" | "update" | "delete" | "redirectPathFor"
  >;
  readonly templates: Templates;
  /** Without a trailing slash. */
  readonly publicUrl: string;
  readonly access: Pick<AccessControl, "viewOf">;
}): BoundService {
  const { registry, templates, publicUrl, access } = options;
  const redirectUriOf = ({ redirectPath }: Pick<ProviderProfile, "redirectPath">): string =>
    redirectPath === "" ? "" : `${publicUrl}${redirectPath}`;
  const messageOf = (profile: ProviderProfile): Provider => {
    const message = providerMessage(profile);
    message.redirectUri = redirectUriOf(profile);
    return message;
  };
  return bindService(ProviderService, {
    async createProvider(request, context) {
      const provider = required(request.provider, "provider");
      const profile = await registry.create(
        newSettings(templates, provider, request.template, request.templateVariables),
        clientSecretOf(provider),
        context.principal,
      );
      return create(CreateProviderResponseSchema, {
        provider: messageOf(profile),
        redirectUri: redirectUriOf(profile),
      });
    },

    async getProvider(request) {
      const { case: kind, value } = request.key;
      const profile = registry.get(kind === "name" ? { name: value } : { id: value ?? "" });
      return create(GetProviderResponseSchema, {
        provider: messageOf(profile),
        redirectUri: redirectUriOf(profile),
      });
    },

    async listProviders(request, context) {
      const limit = pageSize(request.pageSize);
      const afterName = decodePageToken("providers", request.pageToken, (text) =>
        /^[a-z0-9-]{1,63}$/.test(text),
      );
      const profiles = registry.list({
        limit: limit + 1,
        ...(afterName === undefined ? {} : { afterName }),
        ...(request.namePrefix === "" ? {} : { namePrefix: request.namePrefix }),
        authType: authTypes[request.authType - 1],
        sees: access.viewOf(context.principal).seesProvider,
      });
      const page = profiles.slice(0, limit);
      return create(ListProvidersResponseSchema, {
        providers: page.map(messageOf),
        nextPageToken: encodePageToken("providers", profiles.length > limit ? page.at(-1)?.name : undefined),
      });
    },

    async updateProvider(request, context) {
      const provider = required(request.provider, "provider");
      if (!isId(provider.id)) {
        throw new InvalidArgument([
          { field: "provider.id", description: "must be the id of a provider (a UUID)" },
        ]);
      }
      const { authType } = registry.get({ id: provider.id });
      const change = changeOf(provider, request.updateMask?.paths ?? [], authType);
      const { profile, partedConnections } = await registry.update(
        provider.id,
        change,
        versionOfEtag(request.etag),
        context.principal,
      );
      return create(UpdateProviderResponseSchema, {
        provider: messageOf(profile),
        redirectUri: redirectUriOf(profile),
        partedConnections,
      });
    },

    async deleteProvider(request, context) {
      const orphanedConnections = await registry.delete(request.id, context.principal);
      return create(DeleteProviderResponseSchema, { orphanedConnections });
    },

    async listProviderTemplates(request) {
      const limit = pageSize(request.pageSize);
      const afterName = decodePageToken("templates", request.pageToken, (text) =>
        /^[a-z0-9-]{1,63}$/.test(text),
      );
      const found = templates.list({ limit: limit + 1, afterName, namePrefix: request.namePrefix });
      const page = found.slice(0, limit);
      return create(ListProviderTemplatesResponseSchema, {
        templates: page.map((template) => {
          const isOAuth2 = template.settings.authType === "oauth2";
          const redirectPath = isOAuth2 ? registry.redirectPathFor(template.name) : "";
          return templateMessage(template, redirectUriOf({ redirectPath }));
        }),
        nextPageToken: encodePageToken("templates", found.length > limit ? page.at(-1)?.name : undefined),
      });
    },
  });
}

/** @throws NotFound, InvalidArgument */
function newSettings(
  templates: Templates,
  provider: Provider,
  template: string,
  variables: Readonly<Record<string, string>>,
): ProviderSettings {
  if (template !== "") {
    return settingsOver(templates.instantiate(canonicalName(template), variables), provider);
  }
  if (Object.keys(variables).length === 0) return settingsOf(provider);
  throw new InvalidArgument([{ field: "template_variables", description: "go with a template" }]);
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new InvalidArgument([{ field, description: "is required" }]);
  return value;
}
