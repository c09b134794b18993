import type { ListenAddress } from "../../../model/model.js";

/** Addresses of every interface: a browser of this machine comes by loopback. */
const everywhere = ["0.0.0.0", "::"];

/** The origin of a bound address; undefined for a Unix socket. */
export function consoleUrl(address: ListenAddress, isTls: boolean): string | undefined {
  if (address.kind !== "tcp") return undefined;
  const { host, port } = address;
  const name = everywhere.includes(host) ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return new URL(`${isTls ? "https" : "http"}://${name}:${port}`).origin;
}

/** Where a link leads. */
export const openPath = "/open";
export const codeField = "code";

/** Where requests that wait for a person are answered: the list, and below it each of them. */
export const approvalsPath = "/approvals";

/** The link that a code stands in: in the query, which no log has. */
export function consoleLink(origin: string, code: string): string {
  return `${origin}${openPath}?${new URLSearchParams({ [codeField]: code })}`;
}

/** Cookies of one host are shared by its ports, and so by the daemons of one machine. */
export function cookieName(word: string, { port }: URL): string {
  return port === "" ? word : `${word}-${port}`;
}
