import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { NotificationRecordSchema } from "../../../gen/nexus/store/v1/records_pb.js";
import { encodeTime, fieldsOf } from "../../../store/store.js";
import { type NotificationType, notificationTypes, type PendingNotification } from "./notification.js";

export function encodeNotification(notification: PendingNotification): Uint8Array {
  const { receiver: _, connectionId = "", createdAtMs, endsAtMs, ...fields } = notification;
  const record = create(NotificationRecordSchema, {
    ...fields,
    connectionId,
    createdAtMs: encodeTime(createdAtMs),
    endsAtMs: encodeTime(endsAtMs),
  });
  return toBinary(NotificationRecordSchema, record);
}

export function decodeNotification(receiver: string, bytes: Uint8Array): PendingNotification {
  const { connectionId, endsAtMs, ...fields } = fieldsOf(fromBinary(NotificationRecordSchema, bytes));
  return {
    ...fields,
    receiver,
    type: notificationTypeOf(fields.type),
    connectionId: connectionId === "" ? undefined : connectionId,
    createdAtMs: Number(fields.createdAtMs),
    endsAtMs: endsAtMs === 0n ? undefined : Number(endsAtMs),
  };
}

/** @throws Error on a word that this version does not know */
export function notificationTypeOf(word: string): NotificationType {
  const type = notificationTypes.find((known) => known === word);
  if (!type) throw new Error("the record has a type that is not known");
  return type;
}
