import { create } from "@bufbuild/protobuf";
import type { AccessControl } from "../../domain/access/access.js";
import type {
  DiscoveryTrial,
  McpLookup,
  McpProfileRequest,
  ProviderRegistry,
} from "../../domain/profiles/profiles.js";
import {
  type CreateProviderRequest,
  CreateProviderResponseSchema,
  DeleteProviderResponseSchema,
  GetProviderResponseSchema,
  ListProvidersResponseSchema,
  ListProviderTemplatesResponseSchema,
  type Provider,
  ProviderService,
  UpdateProviderResponseSchema,
} from "../../gen/nexus/v1/provider_pb.js";
import { InvalidArgument } from "../../model/errors.js";
import { isId } from "../../model/ids.js";
import { isConsented } from "../../model/providers/grant_type.js";
import {
  authTypes,
  canonicalName,
  type ProviderProfile,
  type ProviderSettings,
} from "../../model/providers/provider_profile.js";
import { decodePageToken, encodePageToken, pageSize } from "../messages/page_token.js";
import {
  changeOf,
  clientSecretOf,
  providerMessage,
  settingsOf,
  versionOfEtag,
} from "../messages/provider_message.js";
import { settingsOver, type Templates, templateMessage } from "../messages/template_message.js";
import {
  defineService,
  type ServiceDefinition,
  type ServiceImplementation,
} from "../pipeline/service_definition.js";

interface ProviderServiceDeps {
  readonly registry: ProviderRegistry;
  readonly trial: DiscoveryTrial;
  readonly mcp: McpLookup;
  readonly templates: Templates;
  /** Without a trailing slash. */
  readonly publicUrl: string;
  readonly access: AccessControl;
}

type Calls = ServiceImplementation<typeof ProviderService>;

export function providerService(options: ProviderServiceDeps): ServiceDefinition {
  return defineService(ProviderService, {
    ...profileWrites(options),
    ...profileReads(options),
    ...templateReads(options),
  });
}

function redirectUriOf({ publicUrl }: ProviderServiceDeps, redirectPath: string | undefined): string {
  return redirectPath === "" ? "" : `${publicUrl}${redirectPath}`;
}

/** A profile as it is served, and the redirect URI beside it. */
function servedProfile(options: ProviderServiceDeps, profile: ProviderProfile) {
  const redirectUri = redirectUriOf(options, profile.redirectPath);
  const provider = providerMessage(profile);
  provider.redirectUri = redirectUri;
  return { provider, redirectUri };
}

/** What decides where the discovery document is. */
const discoveryPaths = ["issuer", "enable_discovery"];

function profileWrites(options: ProviderServiceDeps) {
  const { registry, templates, trial, mcp } = options;
  return {
    async createProvider(request, context) {
      if (request.mcpServerUrl !== "") {
        const made = await mcp.profileOf(request.mcpServerUrl, context.principal, mcpRequest(request));
        return create(CreateProviderResponseSchema, servedProfile(options, made));
      }
      const provider = required(request.provider, "provider");
      const profile = await registry.create(
        newSettings(templates, provider, request.template, request.templateVariables),
        clientSecretOf(provider),
        context.principal,
      );
      const warnings = await trial.warnings(profile);
      return create(CreateProviderResponseSchema, { ...servedProfile(options, profile), warnings });
    },

    async updateProvider(request, context) {
      const provider = required(request.provider, "provider");
      if (!isId(provider.id)) {
        throw new InvalidArgument([
          { field: "provider.id", description: "must be the id of a provider (a UUID)" },
        ]);
      }
      const { authType } = registry.get({ id: provider.id });
      const paths = request.updateMask?.paths ?? [];
      const change = changeOf(provider, paths, authType);
      const { profile, partedConnections } = await registry.update(
        provider.id,
        change,
        versionOfEtag(request.etag),
        context.principal,
      );
      return create(UpdateProviderResponseSchema, {
        ...servedProfile(options, profile),
        partedConnections,
        warnings: paths.some((path) => discoveryPaths.includes(path)) ? await trial.warnings(profile) : [],
      });
    },

    async deleteProvider(request, context) {
      const profile = registry.get({ id: request.id });
      const remainingConnections = await registry.delete(request.id, context.principal);
      await mcp.deleted(profile, remainingConnections);
      return create(DeleteProviderResponseSchema, { remainingConnections });
    },
  } satisfies Partial<Calls>;
}

function profileReads(options: ProviderServiceDeps) {
  const { registry, access } = options;
  return {
    async getProvider(request) {
      const { case: kind, value } = request.key;
      const profile = registry.get(kind === "name" ? { name: value } : { id: value ?? "" });
      return create(GetProviderResponseSchema, servedProfile(options, profile));
    },

    async listProviders(request, context) {
      const limit = pageSize(request.pageSize);
      const afterName = decodePageToken("providers", request.pageToken, isNameText);
      const profiles = registry.list({
        limit: limit + 1,
        ...(afterName === undefined ? {} : { afterName }),
        ...(request.namePrefix === "" ? {} : { namePrefix: request.namePrefix }),
        authType: authTypes[request.authType - 1],
        sees: access.viewOf(context.principal).seesProvider,
      });
      const page = profiles.slice(0, limit);
      return create(ListProvidersResponseSchema, {
        providers: page.map((profile) => servedProfile(options, profile).provider),
        nextPageToken: encodePageToken("providers", profiles.length > limit ? page.at(-1)?.name : undefined),
      });
    },
  } satisfies Partial<Calls>;
}

function templateReads(options: ProviderServiceDeps) {
  const { registry, templates } = options;
  return {
    async listProviderTemplates(request) {
      const limit = pageSize(request.pageSize);
      const afterName = decodePageToken("templates", request.pageToken, isNameText);
      const found = templates.list({ limit: limit + 1, afterName, namePrefix: request.namePrefix });
      const page = found.slice(0, limit);
      return create(ListProviderTemplatesResponseSchema, {
        templates: page.map((template) => {
          const redirectPath = isConsented(template.settings) ? registry.redirectPathFor(template.name) : "";
          return templateMessage(template, redirectUriOf(options, redirectPath));
        }),
        nextPageToken: encodePageToken("templates", found.length > limit ? page.at(-1)?.name : undefined),
      });
    },
  } satisfies Partial<Calls>;
}

function isNameText(text: string): boolean {
  return /^[a-z0-9-]{1,63}$/.test(text);
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

/** Undefined when the caller says nothing of the profile. @throws InvalidArgument */
function mcpRequest({ provider, template }: CreateProviderRequest): McpProfileRequest | undefined {
  if (template !== "") {
    throw new InvalidArgument([{ field: "template", description: "cannot be given with mcp_server_url" }]);
  }
  if (!provider) return undefined;
  const { clientId, issuer } = provider;
  const client = clientId === "" ? undefined : { clientId, issuer, clientSecret: clientSecretOf(provider) };
  return {
    name: canonicalName(provider.name),
    client,
    over: (base) => ({ ...settingsOver(base, provider), mcpServerUrl: base.mcpServerUrl }),
  };
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new InvalidArgument([{ field, description: "is required" }]);
  return value;
}
