/** An agent with Connect. Over TCP it speaks the protocol of Connect; the Unix socket speaks gRPC alone. */
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { TokenService } from "../gen/nexus/v1/token_pb.js";
import { main } from "./agent.js";

await main((address, apiKey) => {
  const transport = address.startsWith("unix:")
    ? createGrpcTransport({
        baseUrl: "http://localhost",
        nodeOptions: { createConnection: () => connect(address.replace(/^unix:(\/\/)?/, "")) },
      })
    : createConnectTransport({ baseUrl: address, httpVersion: "2" });
  const client = createClient(TokenService, transport);
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  return (request, signal) => client.watchTokens(request, { signal, headers });
});
