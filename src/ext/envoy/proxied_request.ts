import { putCredential } from "../../domain/use/use.js";
import type { Strategy } from "../../model/credentials/credentials.js";
import { PermissionDenied } from "../../model/model.js";
import {
  cutUrl,
  hashHeader,
  isPresigned,
  parameterName,
  StrategyError,
} from "../../strategies/strategies.js";

/** A request that stands at a proxy, as far as the proxy shows it. */
export interface ProxiedRequest {
  readonly method: string;
  /** Of the API, as it goes upstream, in its canonical form; undefined where the proxy does not show it. */
  readonly host: string | undefined;
  /** Of the API, as it goes upstream. */
  readonly scheme: "http" | "https";
  /** With the query, as it goes upstream; undefined where the proxy does not show it. */
  readonly path: string | undefined;
  /** By their names in lower case; what came several times is joined. */
  readonly headers: ReadonlyMap<string, string>;
  /** The same, each as often as it came. */
  readonly headerFields: readonly (readonly [name: string, value: string])[];
  /** Undefined where the proxy does not show all of it. */
  readonly body: Uint8Array | undefined;
  /** It is sent once more, since the API refused the credential that was put in. */
  readonly repeats?: boolean;
}

/** What a proxy does to a request before it sends it on. */
export interface Injection {
  /** Instead of those that the caller sent; names in lower case. */
  readonly setHeaders: readonly (readonly [name: string, value: string])[];
  /** In lower case; none that is set. */
  readonly removeHeaders: readonly string[];
  /** Percent-encoded, instead of those that the caller sent. */
  readonly setQuery: readonly (readonly [name: string, value: string])[];
  /** As the caller wrote them. */
  readonly removeQuery: readonly string[];
}

/** Where a caller may have put credentials of its own: they are for the proxy, and no business of the API. */
const callersCredentials = ["authorization", "dpop", "proxy-authorization", "cookie", "x-api-key"];
/** Made by the signer, so that what the caller sent of them counts for nothing. */
const madeBySigner = ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

type CredentialTexts = Readonly<Record<string, string>>;

/** What a credential is put in with, beside itself. */
export interface InjectionMeans {
  /** The time of a signature. */
  readonly nowMs: number;
  /** Proves the key that the token is bound to, for a request to an absolute URL. */
  readonly prove: (method: string, url: string) => Promise<string | undefined>;
}

/**
 * Puts a credential into a request at a proxy.
 *
 * @throws PermissionDenied when the strategy needs what the proxy does not show, or the credential cannot be sent
 */
export async function inject(
  request: ProxiedRequest,
  strategy: Strategy,
  credentials: CredentialTexts,
  means: InjectionMeans,
): Promise<Injection> {
  try {
    switch (strategy.kind) {
      case "query_param":
        return await injectQuery(request, strategy, credentials);
      case "aws_sigv4":
        return await injectSignature(request, strategy, credentials, means.nowMs);
      default:
        return await injectHeader(request, strategy, credentials, means);
    }
  } catch (error) {
    if (!(error instanceof StrategyError)) throw error;
    throw new PermissionDenied(`the credential cannot be put into the request: ${error.message}`);
  }
}

async function injectHeader(
  request: ProxiedRequest,
  strategy: Strategy,
  credentials: CredentialTexts,
  { prove }: InjectionMeans,
): Promise<Injection> {
  const body = strategy.kind === "hmac_payload" ? required(request.body, bodyWanted) : undefined;
  const bare = { method: request.method, url: "http://localhost/", headers: {}, body };
  const proved = async () => await prove(request.method, provedUrl(request));
  const { headers } = await putCredential(bare, { strategy, credentials }, proved);
  return injection(Object.entries(headers));
}

/** What `htu` of a proof is made of (RFC 9449 section 4.2): the request as the API gets it. */
function provedUrl({ scheme, host, path }: ProxiedRequest): string {
  const authority = required(host, "host (upstream_host, or X-Nexus-Upstream-Host)");
  const url = `${scheme}://${authority}${required(path, "path (X-Original-URI or X-Forwarded-Uri)")}`;
  if (URL.canParse(url)) return url;
  throw new PermissionDenied("the token is bound to a key, and the request has no URL to make a proof for");
}

async function injectQuery(
  request: ProxiedRequest,
  strategy: Strategy & { kind: "query_param" },
  credentials: CredentialTexts,
): Promise<Injection> {
  const path = required(request.path, "path and query (X-Original-URI or X-Forwarded-Uri)");
  const bare = { method: request.method, url: `http://localhost${path}`, headers: {} };
  const { url } = await putCredential(bare, { strategy, credentials }, noProof);
  const pairOf = (pair: string): [string, string] => {
    const [name = "", ...value] = pair.split("=");
    return [name, value.join("=")];
  };
  const isIt = ([name]: readonly [string, string]): boolean => parameterName(name) === strategy.paramName;
  const setQuery = (cutUrl(url).query ?? "").split("&").map(pairOf).filter(isIt);
  const theirs = (cutUrl(path).query ?? "").split("&").map(pairOf).filter(isIt);
  const removeQuery = theirs.map(([name]) => name).filter((name) => !setQuery.some(([own]) => own === name));
  return { ...injection([]), setQuery, removeQuery: [...new Set(removeQuery)] };
}

async function injectSignature(
  request: ProxiedRequest,
  strategy: Strategy & { kind: "aws_sigv4" },
  credentials: CredentialTexts,
  nowMs: number,
): Promise<Injection> {
  const host = required(request.host, "host");
  const path = required(request.path, "path and query");
  if (isPresigned(path)) return injection([]);
  const isStreaming = request.headers.get(hashHeader)?.startsWith("STREAMING-") ?? false;
  const body = isStreaming ? new Uint8Array() : required(request.body, bodyWanted);
  // Proxies add and change the others after this.
  const signed = [...request.headers].filter(
    ([name]) =>
      name === "content-type" ||
      (name === hashHeader && isStreaming) ||
      (name.startsWith("x-amz-") && !madeBySigner.includes(name)),
  );
  const bare = {
    method: request.method,
    url: `https://${host}${path}`,
    headers: Object.fromEntries(signed),
    ...(body.length > 0 && { body }),
  };
  const clock = { nowMs: () => nowMs };
  const { headers } = await putCredential(bare, { strategy, credentials }, noProof, { clock });
  const made = Object.entries(headers).filter(
    ([name]) => name === hashHeader || !signed.some(([own]) => own === name),
  );
  return injection(made, madeBySigner);
}

const noProof = async () => undefined;
const bodyWanted = "whole body (Envoy: with_request_body, with pack_as_bytes)";

function required<T>(part: T | undefined, what: string): T {
  if (part !== undefined) return part;
  throw new PermissionDenied(`the credential goes by the ${what}, which the proxy does not show`);
}

function injection(set: readonly [string, string][], alsoRemoved: readonly string[] = []): Injection {
  const setHeaders = set.map(([name, value]) => [name.toLowerCase(), value] as const);
  const isSet = (name: string): boolean => setHeaders.some(([own]) => own === name);
  const removeHeaders = [...callersCredentials, ...alsoRemoved].filter((name) => !isSet(name));
  return { setHeaders, removeHeaders, setQuery: [], removeQuery: [] };
}
