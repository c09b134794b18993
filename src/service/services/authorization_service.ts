import type { ProxyAuthorizer } from "../../domain/proxy/proxy_authorizer.js";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import { connectionOfRoute, deniedResponse, okResponse, proxiedRequest } from "../pipeline/check_message.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

/**
 * Envoy's external authorization: the credential of the route's connection, put into the request. A refusal is an answer: it says what
 * the caller of the proxy is told. Other errors stay errors: they deny too.
 */
export function authorizationService(options: {
  readonly authorizer: Pick<ProxyAuthorizer, "authorize">;
}): ServiceDefinition {
  const { authorizer } = options;
  return defineService(
    Authorization,
    {
      async check(request, { principal }) {
        return okResponse(
          await authorizer.authorize(connectionOfRoute(request), proxiedRequest(request), principal),
        );
      },
    },
    { answerError: deniedResponse },
  );
}
