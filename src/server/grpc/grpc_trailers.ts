import type { WireError } from "../../service/pipeline/wire_error.js";
import { encodeDetails } from "../connect/wire_answer.js";

/** `grpc-message` as grpc-js writes it. `encodeURI` throws on half a surrogate pair. */
export function trailersOf(error: WireError): Record<string, string | number> {
  const details = encodeDetails(error);
  return {
    "grpc-status": error.code,
    "grpc-message": encodeURI(Buffer.from(error.message).toString()),
    ...(details && { "grpc-status-details-bin": details.toString("base64") }),
  };
}
