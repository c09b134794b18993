import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { CreateApiKeyRequestSchema } from "../../src/gen/nexus/v1/access_pb.js";
import { clientsOver } from "../all_clients.js";
import type { TestDaemon } from "./harness.js";

/** Clients of a new API key, at the `http` listener. */
export async function clientsWithKey(
  { clients, place }: Pick<TestDaemon, "clients" | "place">,
  request: MessageInitShape<typeof CreateApiKeyRequestSchema>,
) {
  const { key } = await clients.access.createApiKey(request);
  const withKey: Interceptor = (next) => (sent) => {
    sent.header.set("x-api-key", key);
    return next(sent);
  };
  const transport = createConnectTransport({
    ...{ baseUrl: place.httpUrl, httpVersion: "1.1", interceptors: [withKey] },
  });
  return clientsOver(transport);
}
