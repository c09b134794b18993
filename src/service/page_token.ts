import { InvalidArgument } from "../model/errors.js";

/** Page size when the request says 0. */
const defaultPageSize = 100;

export function pageSize(requested: number): number {
  return requested === 0 ? defaultPageSize : requested;
}

/** An opaque token that holds the key of the last row of a page. */
export function encodePageToken(lastKey: string | undefined): string {
  return lastKey === undefined ? "" : Buffer.from(lastKey, "utf8").toString("base64url");
}

/**
 * @returns undefined for the first page
 * @throws InvalidArgument when it is not a token that this server wrote
 */
export function decodePageToken(token: string, isKey: (text: string) => boolean): string | undefined {
  if (token === "") return undefined;
  const key = Buffer.from(token, "base64url").toString("utf8");
  if (encodePageToken(key) !== token || !isKey(key)) {
    throw new InvalidArgument([
      { field: "page_token", description: "must be the next_page_token of an answer" },
    ]);
  }
  return key;
}
