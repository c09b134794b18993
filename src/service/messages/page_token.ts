import { InvalidArgument } from "../../model/errors.js";

/** Page size when the request says 0. */
const defaultPageSize = 100;

export function pageSize(requested: number): number {
  return requested === 0 ? defaultPageSize : requested;
}

/** Each list has tokens of its own, or the place in one would be taken for a place in another. */
export type PagedList = "api_keys" | "audit" | "connections" | "providers" | "templates";

/** An opaque token that holds the key of the last row of a page. It gives no access: a forged one only names a place to go on from. */
export function encodePageToken(list: PagedList, lastKey: string | undefined): string {
  return lastKey === undefined ? "" : Buffer.from(`${list}/${lastKey}`, "utf8").toString("base64url");
}

/**
 * @returns undefined for the first page
 * @throws InvalidArgument when it is not a token of `list`
 */
export function decodePageToken(
  list: PagedList,
  token: string,
  isKey: (text: string) => boolean,
): string | undefined {
  if (token === "") return undefined;
  const text = Buffer.from(token, "base64url").toString("utf8");
  const key = text.slice(list.length + 1);
  if (encodePageToken(list, key) !== token || !isKey(key)) {
    throw new InvalidArgument([
      { field: "page_token", description: "must be the next_page_token of an answer of this list" },
    ]);
  }
  return key;
}
