import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SuspensionRecordSchema } from "../gen/nexus/store/v1/records_pb.js";
import type { Suspension } from "../model/suspension.js";

export function encodeSuspension(suspension: Suspension): Uint8Array {
  const record = create(SuspensionRecordSchema, {
    profileVersion: suspension.profileVersion,
    sinceMs: BigInt(suspension.sinceMs),
    failures: suspension.failures,
    retryAtMs: BigInt(suspension.retryAtMs),
    probeConnectionId: suspension.probeConnectionId,
    resuming: suspension.resuming,
    unconfirmed: suspension.unconfirmed,
  });
  return toBinary(SuspensionRecordSchema, record);
}

export function decodeSuspension(providerId: string, bytes: Uint8Array): Suspension {
  const record = fromBinary(SuspensionRecordSchema, bytes);
  return {
    providerId,
    profileVersion: record.profileVersion,
    sinceMs: Number(record.sinceMs),
    failures: record.failures,
    retryAtMs: Number(record.retryAtMs),
    probeConnectionId: record.probeConnectionId,
    resuming: record.resuming,
    unconfirmed: record.unconfirmed,
  };
}
