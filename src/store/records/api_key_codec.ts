import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ApiKeyRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { roles } from "../../model/access/access_table.js";
import type { ApiKeyRecord } from "../../model/access/api_key.js";
import type { Restriction } from "../../model/access/scope_restriction.js";
import { decodeText, decodeTime, decodeWord, encodeTime, encodeWord } from "./field_codec.js";

export function encodeApiKey(key: ApiKeyRecord): Uint8Array {
  const { restriction } = key;
  const record = create(ApiKeyRecordSchema, {
    id: key.id,
    name: key.name,
    digest: key.digest,
    role: encodeWord(roles, key.role),
    userIds: [...(restriction?.userIds ?? [])],
    providers: [...(restriction?.providers ?? [])],
    connectionIds: [...(restriction?.connectionIds ?? [])],
    createdAtMs: encodeTime(key.createdAtMs),
    createdBy: key.createdBy,
    expiresAtMs: encodeTime(key.expiresAtMs),
    revokedAtMs: encodeTime(key.revokedAtMs),
    revokedBy: key.revokedBy ?? "",
    lastUsedAtMs: encodeTime(key.lastUsedAtMs),
  });
  return toBinary(ApiKeyRecordSchema, record);
}

/** @throws RangeError on a role that this version does not know: the key must not be taken for another */
export function decodeApiKey(bytes: Uint8Array): ApiKeyRecord {
  const record = fromBinary(ApiKeyRecordSchema, bytes);
  const role = decodeWord(roles, record.role);
  const { userIds, providers, connectionIds } = record;
  const restriction: Restriction = {
    ...(userIds.length > 0 && { userIds }),
    ...(providers.length > 0 && { providers }),
    ...(connectionIds.length > 0 && { connectionIds }),
  };
  return {
    id: record.id,
    name: record.name,
    digest: record.digest,
    role,
    restriction: role === "agent" ? restriction : undefined,
    createdAtMs: Number(record.createdAtMs),
    createdBy: record.createdBy,
    expiresAtMs: decodeTime(record.expiresAtMs),
    revokedAtMs: decodeTime(record.revokedAtMs),
    revokedBy: decodeText(record.revokedBy),
    lastUsedAtMs: decodeTime(record.lastUsedAtMs),
  };
}
