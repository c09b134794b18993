import type { Core } from "../../core/core.js";
import type { Registry } from "../../core/registry.js";
import { authorizationService } from "./authorization_service.js";
import { authorizeRoute } from "./authorize_route.js";
import { ProxyAuthorizer } from "./proxy_authorizer.js";
import { secretDiscoveryService } from "./secret_discovery_service.js";
import { SecretSource } from "./secret_source.js";
import { SecretStreams } from "./secret_stream.js";

export function openEnvoy(
  { store, access, reading, clock, log }: Core,
  registry: Registry,
  prefix: string,
): void {
  const { rules, names } = access;
  const { subscribers, reader, readAudit, injected } = reading;
  const source = new SecretSource({ store, reader, names, readAudit, log, prefix });
  const secrets = new SecretStreams({ source, subscribers, clock, log });
  const authorizer = new ProxyAuthorizer({ ...injected, names, clock });
  registry.rpc(secretDiscoveryService({ secrets, rules }));
  registry.rpc(authorizationService({ authorizer }));
  registry.route((services, onUnexpected) => authorizeRoute({ services, onUnexpected }));
}
