import { create, type DescMessage, fromBinary, isMessage, type Message, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { OnBehalfOfSchema } from "../../gen/nexus/fleet/v1/on_behalf_pb.js";
import { NotFound } from "../../model/errors.js";
import { codes, type ErrorDetail, WireError } from "../pipeline/wire_error.js";

/** `google.rpc.ErrorInfo` between hubs, of what was not found: the REST routes name it in words of their own. */
const missing = { reason: "NOT_FOUND", domain: OnBehalfOfSchema.file.proto.package };

/** What the error table puts beside an error. */
const known = new Map<string, DescMessage>(
  [BadRequestSchema, ErrorInfoSchema, QuotaFailureSchema, RetryInfoSchema].map((each) => [
    each.typeName,
    each,
  ]),
);

export function statusOf({ code, message, details, cause }: WireError): Status {
  const packed = details.map(({ descriptor, value }) => anyPack(descriptor, value));
  if (cause instanceof NotFound)
    packed.push(
      anyPack(
        ErrorInfoSchema,
        create(ErrorInfoSchema, { ...missing, metadata: { resource: cause.resource } }),
      ),
    );
  return create(StatusSchema, { code, message, details: packed });
}

/** Details of a newer hub that this one does not know are left out. */
export function wireErrorOf({ code, message, details }: Status): WireError {
  const found = Object.values(codes).find((candidate) => candidate === code) ?? codes.internal;
  const reported = details.flatMap(({ typeUrl, value }): ErrorDetail[] => {
    const descriptor = known.get(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
    if (descriptor === undefined) return [];
    return [{ descriptor: descriptor as GenMessage<Message>, value: fromBinary(descriptor, value) }];
  });
  const resource = reported.map(resourceOf).find((each) => each !== undefined);
  const own = reported.filter((detail) => resourceOf(detail) === undefined);
  return new WireError(found, message, own, resource === undefined ? undefined : new NotFound(resource));
}

/** What was not found, where a detail says that. */
function resourceOf({ value }: ErrorDetail): NotFound["resource"] | undefined {
  if (!isMessage(value, ErrorInfoSchema)) return undefined;
  if (value.reason !== missing.reason || value.domain !== missing.domain) return undefined;
  return value.metadata["resource"] as NotFound["resource"] | undefined;
}

/** The bytes of a message. */
export function bytesOf(descriptor: DescMessage, message: Message): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(toBinary(descriptor, message));
}
