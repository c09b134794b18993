import {
  Authorization,
  type CheckRequest,
  type CheckResponse,
} from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import { Spoke } from "../../gen/nexus/rpc/v1/options_pb.js";
import {
  defineService,
  type RpcDescription,
  type ServiceDefinition,
  toWireError,
  WireError,
} from "../../service/service.js";
import {
  connectionOfRoute,
  deniedResponse,
  metadataFields,
  okResponse,
  proxiedRequest,
  refusalOfRoute,
} from "./check_message.js";
import type { ProxyAuthorizer } from "./proxy_authorizer.js";

/**
 * Envoy's external authorization: the credential of the route's connection, put into the request. A refusal is an answer: it says what
 * the caller of the proxy gets. Other errors stay errors: they deny too. Where the route says that the API refused a credential, that
 * is reported first; a report that brings no other credential is answered with the status of the API.
 */
export function authorizationService(options: {
  readonly authorizer: Pick<ProxyAuthorizer, "authorize" | "refused">;
}): ServiceDefinition {
  const { authorizer } = options;
  return defineService(
    Authorization,
    {
      async check(request, context) {
        const { principal } = context;
        const key = connectionOfRoute(request);
        const refusal = refusalOfRoute(request);
        if (refusal) {
          const error = await authorizer.refused(key, refusal, principal).catch(toWireError);
          if (error instanceof WireError) return deniedResponse(error, refusal.status);
          if (error !== undefined) throw error;
        }
        const proxied = { ...proxiedRequest(request), repeats: refusal !== undefined };
        return okResponse(await authorizer.authorize(key, proxied, principal, context));
      },
    },
    { answerError: deniedResponse, described: { check } },
  );
}

/** The contract of Envoy has no options of ours. */
const check: RpcDescription = {
  action: "token.read",
  resourceOf: (request) => {
    const key = connectionOfRoute(request as CheckRequest);
    return key && "name" in key
      ? { kind: "named", name: key.name }
      : { kind: "connection", connectionId: key?.id ?? "" };
  },
  spoke: Spoke.COPY,
  shows: (answer) => {
    const { dynamicMetadata } = answer as CheckResponse;
    const id = dynamicMetadata?.[metadataFields.connectionId];
    const revision = dynamicMetadata?.[metadataFields.revision];
    const isRevision = typeof revision === "string" && /^\d{1,20}$/.test(revision);
    return {
      connectionId: typeof id === "string" ? id : undefined,
      revision: isRevision ? BigInt(revision) : undefined,
    };
  },
};
