import type { Core, RunningExtension } from "../../daemon/extension.js";
import { authorizationService } from "./authorization_service.js";
import { authorizeRoute } from "./authorize_route.js";
import { ProxyAuthorizer } from "./proxy_authorizer.js";
import { secretDiscoveryService } from "./secret_discovery_service.js";
import { SecretSource } from "./secret_source.js";
import { SecretStreams } from "./secret_stream.js";

export function openEnvoy({ options, resources: { store }, domain }: Core, prefix: string): RunningExtension {
  const { clock, log } = options;
  const { rules, names, subscribers, reader, readAudit, injecting } = domain;
  const source = new SecretSource({ store, reader, names, readAudit, log, prefix });
  const secrets = new SecretStreams({ source, subscribers, clock, log });
  const authorizer = new ProxyAuthorizer({ ...injecting, names, clock });
  return {
    services: [secretDiscoveryService({ secrets, rules }), authorizationService({ authorizer })],
    routes: (services, onUnexpected) => authorizeRoute({ services, onUnexpected }),
  };
}
