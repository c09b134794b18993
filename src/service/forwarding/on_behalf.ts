import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type OnBehalfOf as OnBehalfOfMessage,
  OnBehalfOfSchema,
} from "../../gen/nexus/fleet/v1/on_behalf_pb.js";
import type { OnBehalfOf, Principal } from "../../model/access/principal.js";
import { restrictionFrom } from "../../model/access/scope_restriction.js";
import { InvalidArgument } from "../../model/errors.js";
import { restrictionMessage } from "../messages/access_message.js";

/** Header in which a daemon says for whom it calls another: `OnBehalfOf` in base64url. */
export const callerField = "x-nexus-caller";

/** Longer than the names of principals in use. */
const maxLength = 256;
/** What would steer a terminal or turn a text around. */
const steering = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

export function onBehalfMessage({ name, restrictions }: OnBehalfOf): OnBehalfOfMessage {
  return create(OnBehalfOfSchema, { name, restrictions: restrictions.map(restrictionMessage) });
}

export function onBehalfFrom({ name, restrictions }: OnBehalfOfMessage): OnBehalfOf {
  return {
    name: name.replace(steering, "").slice(0, maxLength),
    restrictions: restrictions.map(restrictionFrom),
  };
}

export function onBehalfField(onBehalfOf: OnBehalfOf): string {
  return Buffer.from(toBinary(OnBehalfOfSchema, onBehalfMessage(onBehalfOf))).toString("base64url");
}

/**
 * The same principal, and for whom it says that it calls. Nobody proved that: the name is a text, and restrictions only take away. That it
 * came through this principal is proved.
 *
 * @throws InvalidArgument when the field is not understood as a whole: a restriction must not be lost
 */
export function onBehalf(principal: Principal, field: string): Principal {
  const message = messageIn(field);
  const parts = message ? [message, ...message.restrictions] : [];
  if (message === undefined || parts.some(({ $unknown }) => $unknown !== undefined)) {
    const description = `must be a ${OnBehalfOfSchema.typeName} in base64url, with fields that this version knows`;
    throw new InvalidArgument([{ field: callerField, description }]);
  }
  const onBehalfOf = onBehalfFrom(message);
  const origin = `${principal.origin ?? "unknown"} for ${onBehalfOf.name}`;
  return { ...principal, origin, via: [principal.name], onBehalfOf };
}

function messageIn(field: string): OnBehalfOfMessage | undefined {
  try {
    return fromBinary(OnBehalfOfSchema, Buffer.from(field, "base64url"));
  } catch {
    return undefined;
  }
}
