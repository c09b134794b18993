import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SessionLabel } from "../../domain/access/access.js";
import {
  type ApiKey,
  ApiKeySchema,
  type Restriction as RestrictionMessage,
  RestrictionSchema,
  Role as RoleMessage,
  type RuleMatch,
  RuleMatchSchema,
  type SessionLabel as SessionLabelMessage,
  SessionLabelSchema,
  type UseLimit as UseLimitMessage,
  UseLimitSchema,
} from "../../gen/nexus/v1/access_pb.js";
import { type Role, roles } from "../../model/access/access_table.js";
import type { ApiKeyRecord } from "../../model/access/api_key.js";
import type { explainRules } from "../../model/access/rules.js";
import { type Restriction, restrictionFrom } from "../../model/access/scope_restriction.js";
import type { UseLimit } from "../../model/access/use_limit.js";
import { present, timestampOf } from "./timestamps.js";

export function roleMessage(role: Role | undefined): RoleMessage {
  return role === undefined ? RoleMessage.UNSPECIFIED : roles.indexOf(role) + 1;
}

/** Undefined for the number of no role. */
export function roleOf(message: RoleMessage): Role | undefined {
  return roles[message - 1];
}

export function restrictionMessage(restriction: Restriction): RestrictionMessage {
  const {
    userIds = [],
    providers = [],
    connectionIds = [],
    labels = [],
    methods = [],
    paths = [],
  } = restriction;
  return create(RestrictionSchema, {
    userIds: [...userIds],
    providers: [...providers],
    connectionIds: [...connectionIds],
    labels: [...labels],
    methods: [...methods],
    paths: [...paths],
  });
}

export function restrictionOf(message: RestrictionMessage | undefined): Restriction | undefined {
  return message && restrictionFrom(message);
}

export function apiKeyMessage(record: ApiKeyRecord): ApiKey {
  return create(ApiKeySchema, {
    id: record.id,
    name: record.name,
    role: roleMessage(record.role),
    createdAt: timestampFromMs(record.createdAtMs),
    createdBy: record.createdBy,
    revokedBy: record.revokedBy ?? "",
    ...present({
      restriction: record.restriction && restrictionMessage(record.restriction),
      expiresAt: timestampOf(record.expiresAtMs),
      lease: record.lease && durationFromMs(record.lease.durationMs),
      leaseEndsAt: timestampOf(record.lease?.endsAtMs),
      uses: record.uses && useLimitMessage(record.uses),
      revokedAt: timestampOf(record.revokedAtMs),
      lastUsedAt: timestampOf(record.lastUsedAtMs),
      oldUntil: timestampOf(record.old?.untilMs),
    }),
  });
}

export function useLimitMessage({ uses, perMs }: UseLimit): UseLimitMessage {
  return create(UseLimitSchema, { uses, ...(perMs !== undefined && { per: durationFromMs(perMs) }) });
}

export function useLimitOf(message: UseLimitMessage | undefined): UseLimit | undefined {
  return message && { uses: message.uses, perMs: message.per && durationMs(message.per) };
}

export function ruleMatchMessage({
  uses,
  ...rule
}: ReturnType<typeof explainRules>["rules"][number]): RuleMatch {
  return create(RuleMatchSchema, { ...rule, ...present({ uses: uses && useLimitMessage(uses) }) });
}

export function sessionLabels(labels: readonly SessionLabel[]): SessionLabelMessage[] {
  return labels.map(({ setAtMs, ...label }) =>
    create(SessionLabelSchema, { ...label, setAt: timestampFromMs(setAtMs) }),
  );
}
