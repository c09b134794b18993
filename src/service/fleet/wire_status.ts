import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { codes, type ErrorDetail, WireError } from "../pipeline/wire_error.js";

/** What the error table puts beside an error. */
const known = new Map<string, DescMessage>(
  [BadRequestSchema, ErrorInfoSchema, QuotaFailureSchema, RetryInfoSchema].map((each) => [
    each.typeName,
    each,
  ]),
);

export function statusOf({ code, message, details }: WireError): Status {
  return create(StatusSchema, {
    code,
    message,
    details: details.map(({ descriptor, value }) => anyPack(descriptor, value)),
  });
}

/** Details of a newer hub that this one does not know are left out. */
export function wireErrorOf({ code, message, details }: Status): WireError {
  const found = Object.values(codes).find((candidate) => candidate === code) ?? codes.internal;
  return new WireError(
    found,
    message,
    details.flatMap(({ typeUrl, value }): ErrorDetail[] => {
      const descriptor = known.get(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
      if (descriptor === undefined) return [];
      return [{ descriptor: descriptor as GenMessage<Message>, value: fromBinary(descriptor, value) }];
    }),
  );
}

/** The bytes of a message. */
export function bytesOf(descriptor: DescMessage, message: Message): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(toBinary(descriptor, message));
}
