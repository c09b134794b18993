import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ApiKeyRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { roles } from "../../model/access/access_table.js";
import type { ApiKeyRecord } from "../../model/access/api_key.js";
import { restrictionFrom } from "../../model/access/scope_restriction.js";
import { decodeText, decodeTime, decodeWord, encodeTime, encodeWord, fieldsOf } from "./field_codec.js";

export function encodeApiKey({ restriction = {}, old, lease, uses, ...key }: ApiKeyRecord): Uint8Array {
  const record = create(ApiKeyRecordSchema, {
    ...key,
    role: encodeWord(roles, key.role),
    userIds: [...(restriction.userIds ?? [])],
    providers: [...(restriction.providers ?? [])],
    connectionIds: [...(restriction.connectionIds ?? [])],
    labels: [...(restriction.labels ?? [])],
    methods: [...(restriction.methods ?? [])],
    paths: [...(restriction.paths ?? [])],
    createdAtMs: encodeTime(key.createdAtMs),
    expiresAtMs: encodeTime(key.expiresAtMs),
    revokedAtMs: encodeTime(key.revokedAtMs),
    revokedBy: key.revokedBy ?? "",
    lastUsedAtMs: encodeTime(key.lastUsedAtMs),
    ...(lease && { leaseMs: BigInt(lease.durationMs), leaseEndsAtMs: encodeTime(lease.endsAtMs) }),
    ...(uses && { uses: uses.uses, usesPerMs: BigInt(uses.perMs ?? 0) }),
    ...(old && { oldDigest: old.digest, oldUntilMs: encodeTime(old.untilMs) }),
  });
  return toBinary(ApiKeyRecordSchema, record);
}

/** @throws RangeError on a role that this version does not know: the key must not be taken for another */
export function decodeApiKey(bytes: Uint8Array): ApiKeyRecord {
  const record = fromBinary(ApiKeyRecordSchema, bytes);
  const { userIds, providers, connectionIds, labels, methods, paths, ...other } = fieldsOf(record);
  const { oldDigest, oldUntilMs, leaseMs, leaseEndsAtMs, uses, usesPerMs, ...fields } = other;
  const lists = { userIds, providers, connectionIds, labels, methods, paths };
  const role = decodeWord(roles, fields.role);
  return {
    ...fields,
    role,
    old: oldDigest.length === 0 ? undefined : { digest: oldDigest, untilMs: Number(oldUntilMs) },
    lease: leaseMs === 0n ? undefined : { durationMs: Number(leaseMs), endsAtMs: Number(leaseEndsAtMs) },
    ...(uses > 0 && { uses: { uses, perMs: usesPerMs === 0n ? undefined : Number(usesPerMs) } }),
    restriction: role === "agent" ? restrictionFrom(lists) : undefined,
    createdAtMs: Number(fields.createdAtMs),
    expiresAtMs: decodeTime(fields.expiresAtMs),
    revokedAtMs: decodeTime(fields.revokedAtMs),
    revokedBy: decodeText(fields.revokedBy),
    lastUsedAtMs: decodeTime(fields.lastUsedAtMs),
  };
}
