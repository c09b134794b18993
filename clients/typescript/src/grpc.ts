/** Per-call credentials for `@grpc/grpc-js`, which is an optional peer. */
import { type CallCredentials, credentials, Metadata } from "@grpc/grpc-js";
import type { Nexus, TokenOptions } from "./nexus.js";
import { StrategyError } from "./strategies/apply_strategy.js";

/**
 * Credentials that put the current token into the metadata of each call:
 * `credentials.combineChannelCredentials(credentials.createSsl(), callCredentials(nexus, "github", { user: "ada" }))`.
 *
 * Only strategies of headers go into metadata. gRPC does not tell credentials what was answered: call `nexus.token` again, or use the
 * interceptor of Connect, where tokens that are refused shall be reported.
 */
export function callCredentials(nexus: Nexus, provider: string, options: TokenOptions): CallCredentials {
  return credentials.createFromMetadataGenerator(({ service_url }, callback) => {
    metadataOf(nexus, provider, options, service_url).then(
      (metadata) => callback(null, metadata),
      (error: Error) => callback(error),
    );
  });
}

async function metadataOf(
  nexus: Nexus,
  provider: string,
  options: TokenOptions,
  url: string,
): Promise<Metadata> {
  const token = await nexus.token(provider, options);
  const { kind } = token.strategy;
  if (token.isBound) {
    const description = "is bound to a key (DPoP): use nexus.fetch or nexus.interceptor, which prove it";
    throw new StrategyError("invalid_strategy", "strategy", description);
  }
  if (kind.case !== "oauth2" && kind.case !== "header" && kind.case !== "basicAuth") {
    throw new StrategyError(
      "invalid_strategy",
      "strategy",
      "does not fit into a header: metadata cannot carry it",
    );
  }
  const metadata = new Metadata();
  const { headers } = await token.apply({ method: "POST", url, headers: {} });
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}
