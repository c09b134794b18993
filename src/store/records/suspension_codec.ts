import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SuspensionRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { Suspension } from "../../model/providers/suspension.js";
import { fieldsOf } from "./field_codec.js";

export function encodeSuspension(suspension: Suspension): Uint8Array {
  const { sinceMs, retryAtMs } = suspension;
  const times = { sinceMs: BigInt(sinceMs), retryAtMs: BigInt(retryAtMs) };
  return toBinary(SuspensionRecordSchema, create(SuspensionRecordSchema, { ...suspension, ...times }));
}

export function decodeSuspension(providerId: string, bytes: Uint8Array): Suspension {
  const fields = fieldsOf(fromBinary(SuspensionRecordSchema, bytes));
  return { ...fields, providerId, sinceMs: Number(fields.sinceMs), retryAtMs: Number(fields.retryAtMs) };
}
