import { Code, ConnectError } from "@connectrpc/connect";

/** The listener that agents are meant for. */
const listener = "NEXUS_ADDRESS is that of the http listener, by default http://127.0.0.1:8090";

/** What Node calls a certificate that it does not accept. */
const untrusted =
  /^(UNABLE_TO_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID)/;

/**
 * Whether the connection failed, and not the daemon's answer: the errors of Node's sockets, TLS and HTTP/2 have words for codes, those of
 * Connect have numbers. What is wrong with an argument fails before there is a connection.
 */
export function isOfTheConnection(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined ? !code.startsWith("ERR_INVALID_") && code !== "ABORT_ERR" : isCut(error);
}

/** Whether nobody listens at the address, as while the daemon restarts. */
export function isAway(error: unknown): boolean {
  return ["ECONNREFUSED", "ENOENT"].includes(codeOf(error) ?? "");
}

/**
 * Says why there is no answer, and what to do.
 *
 * @param error one that `isOfTheConnection`
 * @param address as a person writes it
 */
export function unreachableMessage(error: unknown, address: string): string {
  const code = codeOf(error) ?? "";
  const at = `what answers at ${address}`;
  if (untrusted.test(code)) {
    return `the certificate of ${address} is not trusted: set NEXUS_CA_FILE to the file of its CA (${code})`;
  }
  if (/^(ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/.test(code)) {
    return `${at} does not speak TLS: is it http:// instead of https://? ${listener}`;
  }
  if (/^(ERR_HTTP2_|ERR_SSL_|EPROTO)/.test(code)) {
    return `${at} does not speak HTTP/2: ${listener} (${code})`;
  }
  if (isCut(error) || code === "ECONNRESET" || code === "EPIPE") {
    return `${at} ended the connection without an answer: nexusd ended, or it is another listener, or one with TLS (https://): ${listener}`;
  }
  return `nexusd cannot be reached at ${address}: start it with \`nexusd serve\`, or set NEXUS_ADDRESS (${code})`;
}

/** So connect-node calls a stream whose connection ended before it spoke; a call that its caller aborts has the caller's reason. */
function isCut(error: unknown): boolean {
  return (
    error instanceof ConnectError &&
    error.code === Code.Canceled &&
    error.rawMessage.startsWith("http/2 stream closed")
  );
}

/** The code of the error of Node among the causes. */
function codeOf(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = "code" in each ? each.code : undefined;
    if (typeof code === "string") return code;
  }
  return undefined;
}
