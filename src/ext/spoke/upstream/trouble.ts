import { Code, ConnectError } from "@connectrpc/connect";
import { IdentityUnreadable } from "./identity_files.js";

/** Why a spoke is not connected to a hub. */
export interface LinkTrouble {
  /** One sentence without a period at its end. */
  readonly text: string;
  /** The same call gets the same answer until a person changes something. */
  readonly isRefusal: boolean;
  /** It is neither the hub's nor the identity's: what happened here is for the log. */
  readonly isFault?: boolean;
}

const refusals: Readonly<Partial<Record<Code, string>>> = {
  [Code.Unauthenticated]:
    "the hub does not know who this spoke is: check NEXUS_UPSTREAM_TOKEN_FILE, or the client certificate and the CAs that the hub trusts",
  [Code.PermissionDenied]:
    "the hub knows this spoke and lets it read no tokens: bind its principal to the role agent in the hub's policy file",
  [Code.Unimplemented]:
    "what answers there is no hub: NEXUS_UPSTREAM must name listeners for calls of nexusd",
  [Code.InvalidArgument]: "the hub does not understand this spoke: is it of an older version?",
};

/** Causes of TLS, in Node's error of a connection that failed. */
const tlsWords = /certificate|CERT_|self.signed|ERR_TLS|SSL|altnames|handshake|wrong version number/i;

/** Whether it is an answer of a hub, and not a failure of the connection to it. */
export function isAnswer({ metadata }: ConnectError): boolean {
  return metadata.has("grpc-status");
}

export function troubleOf(error: unknown): LinkTrouble {
  if (error instanceof IdentityUnreadable) return { text: error.message, isRefusal: true };
  if (!(error instanceof ConnectError))
    return {
      text: "the changes of the hub could not be stored: see the log",
      isRefusal: false,
      isFault: true,
    };
  const refusal = refusals[error.code];
  const details = printable(error.rawMessage);
  if (refusal !== undefined) return { text: `${refusal} (${details})`, isRefusal: true };
  if (!isAnswer(error) && tlsWords.test(details))
    return { text: `TLS with the hub fails (${details})`, isRefusal: true };
  return { text: `no hub answers (${details})`, isRefusal: false };
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 300);
}
