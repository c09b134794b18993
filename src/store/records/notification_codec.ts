import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConsentLinkRecordSchema, NotificationRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { ConsentLink } from "../../model/notifications/consent_link.js";
import {
  type NotificationType,
  notificationTypes,
  type PendingNotification,
} from "../../model/notifications/notification.js";
import { encodeTime, fieldsOf } from "./field_codec.js";

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
    type: typeOf(fields.type),
    connectionId: connectionId === "" ? undefined : connectionId,
    createdAtMs: Number(fields.createdAtMs),
    endsAtMs: endsAtMs === 0n ? undefined : Number(endsAtMs),
  };
}

export function encodeConsentLink(link: ConsentLink): Uint8Array {
  return toBinary(ConsentLinkRecordSchema, create(ConsentLinkRecordSchema, link));
}

export function decodeConsentLink(bytes: Uint8Array): ConsentLink {
  const { connectionId, type, occasion } = fromBinary(ConsentLinkRecordSchema, bytes);
  return { connectionId, type: typeOf(type), occasion };
}

/** @throws Error on a word that this version does not know */
function typeOf(word: string): NotificationType {
  const type = notificationTypes.find((known) => known === word);
  if (!type) throw new Error("the record has a type that is not known");
  return type;
}
