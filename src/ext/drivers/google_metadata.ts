import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ConnectionName } from "../../model/connections/connections.js";
import type { HttpAnswer } from "../../server/kit.js";
import { type Acquire, MetadataRefusal } from "./acquire.js";

/** After which an SDK asks again, where the provider did not say when the token expires, in seconds. */
const unknownLifeSeconds = 300;
/** As an account is named where its SDK names none. */
const account = "default";
const accounts = "/computeMetadata/v1/instance/service-accounts";
/** Programs look whether there is a metadata server. */
const listings: Readonly<Record<string, string>> = {
  "/": "computeMetadata/\n",
  "/computeMetadata": "v1/\n",
  "/computeMetadata/v1": "instance/\n",
  "/computeMetadata/v1/instance": "service-accounts/\n",
};

export function isOfGoogle(path: string): boolean {
  return path === "/" || /^\/computeMetadata(\/|$)/.test(path);
}

/**
 * The metadata server of a virtual machine, as far as SDKs read tokens there: one service account, whose token is that of a connection.
 *
 * @param path of which `isOfGoogle` holds
 * @see https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
 * @throws MetadataRefusal; WireError
 */
export async function googleMetadata(
  acquire: Acquire,
  name: ConnectionName,
  { path, query }: { readonly path: string; readonly query: URLSearchParams },
  nowMs: number,
): Promise<HttpAnswer> {
  const bare = path === "/" ? path : path.replace(/\/+$/, "");
  const listing = listings[bare];
  if (listing !== undefined) return answerOf("application/text", listing);
  const isRecursive = query.get("recursive")?.toLowerCase() === "true";
  const info = { aliases: [account], email: account, scopes: [] };
  if (bare === accounts)
    return isRecursive ? json({ [account]: info }) : answerOf("application/text", `${account}/\n`);
  if (!`${bare}/`.startsWith(`${accounts}/${account}/`)) throw unknown(path);
  switch (bare.slice(accounts.length + account.length + 2)) {
    case "":
      return isRecursive ? json(info) : answerOf("application/text", "aliases\nemail\nscopes\ntoken\n");
    case "token": {
      const scopes = (query.get("scopes") ?? "").split(",").filter((scope) => scope !== "");
      const { credentials, expiresAt, tokenType } = await acquire(name, scopes);
      const { access_token: accessToken } = credentials;
      if (accessToken === undefined || tokenType === "DPoP") {
        const message = `the connection ${name.providerName} has no access token that a program can send as it is`;
        throw new MetadataRefusal(409, "failed_precondition", message);
      }
      const leftMs = expiresAt ? Math.max(0, timestampMs(expiresAt) - nowMs) : unknownLifeSeconds * 1_000;
      return json({
        access_token: accessToken,
        expires_in: Math.floor(leftMs / 1_000),
        token_type: "Bearer",
      });
    }
    case "email":
      return answerOf("application/text", account);
    case "scopes":
      return answerOf("application/text", "");
    case "aliases":
      return answerOf("application/text", `${account}\n`);
    case "identity":
      throw new MetadataRefusal(404, "not_found", "the metadata listener makes no identity tokens");
    default:
      throw unknown(path);
  }
}

function unknown(path: string): MetadataRefusal {
  return new MetadataRefusal(404, "not_found", `the metadata listener has no ${path}`);
}

function json(body: object): HttpAnswer {
  return answerOf("application/json", JSON.stringify(body));
}

/** Programs go by the header, which shows that no other server answers at the address. */
function answerOf(contentType: string, body: string): HttpAnswer {
  const headers = { "content-type": contentType, "metadata-flavor": "Google", "cache-control": "no-store" };
  return { status: 200, headers, body };
}
