import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { RequestRules } from "../../domain/access/access.js";
import { SecretSchema } from "../../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "../../gen/envoy/service/discovery/v3/discovery_pb.js";
import { SecretDiscoveryService } from "../../gen/envoy/service/secret/v3/sds_pb.js";
import { InvalidArgument } from "../../model/model.js";
import { pump } from "../../runtime/runtime.js";
import {
  defineService,
  type RpcDescription,
  type ServiceDefinition,
  type StreamContext,
} from "../../service/service.js";
import type { SecretRequest } from "./secret_requests.js";
import type { SecretCaller } from "./secret_source.js";
import type { SecretAnswer, SecretStreams } from "./secret_stream.js";

const typeUrl = `type.googleapis.com/${SecretSchema.typeName}`;

/** What is not within the caller's restriction is as what does not exist: an empty secret. */
const filtered: RpcDescription = { action: "token.read" };

/** Envoy's secret discovery: connections as generic secrets. `DeltaSecrets` is not served. */
export function secretDiscoveryService(options: {
  readonly secrets: SecretStreams;
  readonly rules: RequestRules;
}): ServiceDefinition {
  const { secrets, rules } = options;
  const callerOf = ({ principal }: StreamContext): SecretCaller => ({
    principal,
    view: rules.tokenView(principal),
  });
  return defineService(
    SecretDiscoveryService,
    {
      async fetchSecrets(request, context) {
        return discoveryResponse(await secrets.fetch(secretRequest(request).names, callerOf(context)));
      },

      streamSecrets(requests, context, sink) {
        return pump(async function* (signal) {
          const answers = secrets.stream(secretRequests(requests), callerOf(context), signal);
          for await (const answer of answers) yield discoveryResponse(answer);
        }, sink);
      },
    },
    { described: { fetchSecrets: filtered, streamSecrets: filtered } },
  );
}

async function* secretRequests(requests: AsyncIterable<DiscoveryRequest>): AsyncGenerator<SecretRequest> {
  for await (const request of requests) yield secretRequest(request);
}

/** @throws InvalidArgument */
function secretRequest(request: DiscoveryRequest): SecretRequest {
  const { resourceNames, responseNonce, errorDetail } = request;
  if (request.typeUrl !== "" && request.typeUrl !== typeUrl) {
    throw new InvalidArgument([{ field: "type_url", description: `must be ${typeUrl}` }]);
  }
  return { names: resourceNames, nonce: responseNonce, refusal: errorDetail };
}

function discoveryResponse({ version, nonce, secrets }: SecretAnswer): DiscoveryResponse {
  const resources = secrets.map(({ name, value }) => {
    const secret = { specifier: { case: "inlineString" as const, value } };
    const message = create(SecretSchema, { name, type: { case: "genericSecret", value: { secret } } });
    return anyPack(SecretSchema, message);
  });
  return create(DiscoveryResponseSchema, { versionInfo: version, nonce, typeUrl, resources });
}
