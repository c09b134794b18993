import { hash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { ShownRequestSchema } from "../../gen/nexus/v1/token_pb.js";
import { maxShownBytes, shownHeaders } from "../../model/access/request_facts.js";
import { CommandFailure } from "../shell/command_failure.js";
import { printableLines } from "../shell/text.js";

export type ShownRequestInit = MessageInitShape<typeof ShownRequestSchema>;

/** How long a daemon may take that asks a person first: see the `ask` of rules. */
export const answerTimeoutMs = 200_000;

/** A request as the rules of the daemon are to see it, without credentials. @param body undefined where it is not shown */
export function showRequest(
  method: string,
  url: string,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body: Uint8Array | undefined,
): ShownRequestInit {
  const texts = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), [value].flat().join(", ")] as const,
  );
  const { headers: kept } = shownHeaders(method, texts, true);
  const digest = body && hash("sha256", body, "buffer");
  return {
    ...{ method, url, showsHeaders: true, headers: Object.fromEntries(kept ?? []) },
    ...(body && { bodySize: BigInt(body.length), bodySha256: digest as Uint8Array<ArrayBuffer> }),
    ...(body && body.length <= maxShownBytes && { body: body as Uint8Array<ArrayBuffer> }),
  };
}

/** What the daemon says of a request: that it must see the body, that a rule does not let it go, or that servers read it in several ways. */
export function refusalOf(error: unknown): "show_body" | "denied" | "unclear" | undefined {
  const cause = error instanceof CommandFailure ? error.cause : undefined;
  if (!(cause instanceof ConnectError)) return undefined;
  const { reason } = cause.findDetails(ErrorInfoSchema)[0] ?? {};
  if (reason === "SHOW_BODY") return "show_body";
  if (cause.code === Code.InvalidArgument) return "unclear";
  return reason === "USE_EGRESS" || cause.code === Code.PermissionDenied ? "denied" : undefined;
}

/** What the daemon says of a request that it refuses, for the program or the model that sent it: nothing of what a person at a terminal may do. */
export function refusalText({ message, cause }: CommandFailure): string {
  return cause instanceof ConnectError ? printableLines(cause.rawMessage) : message;
}
