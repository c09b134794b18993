import type { ProxyAuthorizer } from "../../domain/proxy/proxy_authorizer.js";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import {
  connectionOfRoute,
  deniedResponse,
  okResponse,
  proxiedRequest,
  refusalOfRoute,
} from "../pipeline/check_message.js";
import { toWireError } from "../pipeline/error_table.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";
import { WireError } from "../pipeline/wire_error.js";

/**
 * Envoy's external authorization: the credential of the route's connection, put into the request. A refusal is an answer: it says what
 * the caller of the proxy is told. Other errors stay errors: they deny too. Where the route says that the API refused a credential, that
 * is reported first; a report that brings no other credential is answered with the status of the API.
 */
export function authorizationService(options: {
  readonly authorizer: Pick<ProxyAuthorizer, "authorize" | "refused">;
}): ServiceDefinition {
  const { authorizer } = options;
  return defineService(
    Authorization,
    {
      async check(request, { principal }) {
        const key = connectionOfRoute(request);
        const refusal = refusalOfRoute(request);
        if (refusal) {
          const error = await authorizer.refused(key, refusal, principal).catch(toWireError);
          if (error instanceof WireError) return deniedResponse(error, refusal.status);
          if (error !== undefined) throw error;
        }
        return okResponse(await authorizer.authorize(key, proxiedRequest(request), principal));
      },
    },
    { answerError: deniedResponse },
  );
}
