import { type Code, ConnectError } from "@connectrpc/connect";
import type { WireError } from "../../service/pipeline/wire_error.js";

/** The error as the clients of `@connectrpc/connect` have it. */
export function toConnectError(error: WireError): ConnectError {
  const details = error.details.map(({ descriptor, value }) => ({ desc: descriptor, value }));
  return new ConnectError(error.message, error.code as Code, undefined, details);
}
