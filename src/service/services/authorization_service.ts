import type { Message } from "@bufbuild/protobuf";
import type { ProxyAuthorizer } from "../../domain/proxy/proxy_authorizer.js";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import { bindService } from "../pipeline/bind_service.js";
import type { BoundService, CallContext } from "../pipeline/bound_service.js";
import { connectionIdOf, deniedResponse, okResponse, proxiedRequest } from "../pipeline/check_message.js";
import { WireError } from "../pipeline/wire_error.js";

/** Envoy's external authorization: the credential of the route's connection, put into the request. */
export function authorizationService(options: {
  readonly authorizer: Pick<ProxyAuthorizer, "authorize">;
}): BoundService {
  const { authorizer } = options;
  return bindService(Authorization, {
    async check(request, { principal }) {
      return okResponse(
        await authorizer.authorize(connectionIdOf(request), proxiedRequest(request), principal),
      );
    },
  });
}

/** The same service, that answers a refusal with what the caller of the proxy is told. Other errors stay errors: they deny too. */
export function answeringRefusals(service: BoundService): BoundService {
  return {
    descriptor: service.descriptor,
    methods: service.methods.map((method) => {
      if (method.kind !== "unary") return method;
      return {
        ...method,
        call: async (request: Message, context: CallContext) => {
          try {
            return await method.call(request, context);
          } catch (error) {
            if (error instanceof WireError) return deniedResponse(error);
            throw error;
          }
        },
      };
    }),
  };
}
