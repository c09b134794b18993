import { SuspensionRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { Suspension } from "../../model/providers/suspension.js";
import { recordForm, time } from "./record_form.js";

const suspensions = recordForm<Suspension, typeof SuspensionRecordSchema>(SuspensionRecordSchema, {
  sinceMs: time,
  retryAtMs: time,
});
export const encodeSuspension = suspensions.encode;

export function decodeSuspension(providerId: string, bytes: Uint8Array): Suspension {
  return { ...suspensions.decode(bytes), providerId };
}
