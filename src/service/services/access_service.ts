import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AccessControl,
  type AccessExplainer,
  type ApiKeys,
  actionNamed,
  type RequestRules,
} from "../../domain/access/access.js";
import {
  AccessService,
  AccessVerdict,
  CreateApiKeyResponseSchema,
  type ExplainAccessRequest,
  ExplainAccessResponseSchema,
  ListApiKeysResponseSchema,
  RenewLeaseResponseSchema,
  RevokeApiKeyResponseSchema,
  RotateApiKeyResponseSchema,
  WhoAmIResponseSchema,
} from "../../gen/nexus/v1/access_pb.js";
import type { Action } from "../../model/access/access_table.js";
import { FailedPrecondition, InvalidArgument } from "../../model/errors.js";
import {
  apiKeyMessage,
  restrictionMessage,
  restrictionOf,
  roleMessage,
  roleOf,
  ruleMatchMessage,
  sessionLabels,
  useLimitMessage,
  useLimitOf,
} from "../messages/access_message.js";
import { decodePageToken, encodePageToken, pageSize } from "../messages/page_token.js";
import { describedRequestOf } from "../messages/request_description.js";
import { present, timestampOf } from "../messages/timestamps.js";
import {
  defineService,
  type ServiceDefinition,
  type ServiceImplementation,
} from "../pipeline/service_definition.js";

const verdicts = {
  allowed: AccessVerdict.ALLOWED,
  restricted: AccessVerdict.RESTRICTED,
  denied: AccessVerdict.DENIED,
} as const;

type AccessServiceDeps = {
  readonly keys: ApiKeys;
  readonly access: AccessControl;
  readonly explainer: AccessExplainer;
  readonly rules: RequestRules;
  /** The action of an RPC that the daemon serves. */
  readonly actionOfRpc: (rpc: string) => Action | undefined;
};

type AccessMethods = ServiceImplementation<typeof AccessService>;

export function accessService(deps: AccessServiceDeps): ServiceDefinition {
  return defineService(AccessService, new AccessRpcs(deps));
}

class AccessRpcs implements AccessMethods {
  constructor(private readonly deps: AccessServiceDeps) {}

  createApiKey: AccessMethods["createApiKey"] = async (request, context) => {
    const role = roleOf(request.role);
    if (!role) throw new InvalidArgument([{ field: "role", description: "is required" }]);
    const refusal = request.uses && this.deps.rules.useRefusal;
    if (refusal !== undefined)
      throw new FailedPrecondition("USES_NOT_COUNTED", `uses of a key cannot be limited: ${refusal}`);
    const { record, key } = await this.deps.keys.create(
      {
        name: request.name,
        role,
        restriction: restrictionOf(request.restriction),
        expiresAtMs: request.expiresAt && timestampMs(request.expiresAt),
        leaseMs: request.lease && durationMs(request.lease),
        uses: useLimitOf(request.uses),
      },
      context.principal,
    );
    return create(CreateApiKeyResponseSchema, { apiKey: apiKeyMessage(record), key: key.reveal() });
  };

  listApiKeys: AccessMethods["listApiKeys"] = async (request) => {
    const limit = pageSize(request.pageSize);
    const afterName = decodePageToken("api_keys", request.pageToken, (text) =>
      /^[a-z0-9._-]{1,63}$/.test(text),
    );
    const records = this.deps.keys.list({
      afterName,
      limit: limit + 1,
      includeRevoked: request.includeRevoked,
    });
    const page = records.slice(0, limit);
    return create(ListApiKeysResponseSchema, {
      apiKeys: page.map(apiKeyMessage),
      nextPageToken: encodePageToken("api_keys", records.length > limit ? page.at(-1)?.name : undefined),
    });
  };

  revokeApiKey: AccessMethods["revokeApiKey"] = async ({ key }, context) => {
    const which = key.case === "name" ? { name: key.value } : { id: key.value ?? "" };
    const record = await this.deps.keys.revoke(which, context.principal);
    return create(RevokeApiKeyResponseSchema, { apiKey: apiKeyMessage(record) });
  };

  rotateApiKey: AccessMethods["rotateApiKey"] = async ({ key: given, keepOld }, context) => {
    const which = given.case === "name" ? { name: given.value } : { id: given.value ?? "" };
    const keepOldMs = keepOld ? durationMs(keepOld) : 0;
    const { record, key } = await this.deps.keys.rotate(which, keepOldMs, context.principal);
    return create(RotateApiKeyResponseSchema, { apiKey: apiKeyMessage(record), key: key.reveal() });
  };

  renewLease: AccessMethods["renewLease"] = async (_request, { principal }) => {
    const { durationMs: leaseMs, endsAtMs } = await this.deps.keys.leases.renew(principal);
    return create(RenewLeaseResponseSchema, {
      lease: durationFromMs(leaseMs),
      endsAt: timestampFromMs(endsAtMs),
    });
  };

  explainAccess: AccessMethods["explainAccess"] = async (request) => {
    const action = actionNamed(request.action, this.deps.actionOfRpc);
    const { connectionId = "", userId = "", provider = "" } = request.resource ?? {};
    const { permission, place, permissions } = this.deps.explainer.explain(request.principal, action, {
      connectionId: connectionId || undefined,
      userId: userId || undefined,
      provider: provider || undefined,
    });
    const { provider: profile } = this.deps.access.factsOf(connectionId) ?? {};
    return create(ExplainAccessResponseSchema, {
      warnings: this.deps.explainer.warnings(profile?.name ?? provider),
      verdict: verdicts[permission],
      rule: place.text,
      line: place.line,
      role: roleMessage(permissions.role),
      action,
      ...present({ uses: permissions.uses && useLimitMessage(permissions.uses) }),
      ...this.#ruled(request),
    });
  };

  /** What the rules say of the request of the question. */
  #ruled({ principal, request, resource }: ExplainAccessRequest) {
    if (!request) return {};
    const { connectionId = "", userId = "", provider = "" } = resource ?? {};
    const named = { connectionId, userId, provider: { id: provider, name: provider } };
    const connection = this.deps.access.factsOf(connectionId) ?? named;
    const { requestVerdict, rules } = this.deps.rules.explain(
      principal,
      connection,
      describedRequestOf(request),
    );
    const labels = sessionLabels(this.deps.rules.labelsOf(principal));
    return { requestVerdict, labels, rules: rules.map(ruleMatchMessage) };
  }

  whoAmI: AccessMethods["whoAmI"] = async (_request, { principal }) => {
    const permissions = this.deps.access.permissionsFor(principal);
    return create(WhoAmIResponseSchema, {
      principal: principal.name,
      role: roleMessage(permissions.role),
      restrictions: permissions.rules.flatMap(({ restriction }) =>
        restriction ? [restrictionMessage(restriction)] : [],
      ),
      ...present({ expiresAt: timestampOf(principal.expiresAtMs) }),
    });
  };
}
