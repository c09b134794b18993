/**
 * `reader.ts SOCKET snapshot [API-KEY]` takes a whole snapshot of WatchTokens, and `reader.ts SOCKET list [SEARCH]` 20 of the largest pages of
 * ListConnections, one after the other. Says how many connections came.
 */
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ConnectionService } from "../src/gen/nexus/v1/connection_pb.js";
import { TokenService } from "../src/gen/nexus/v1/token_pb.js";

const [socket = "", what, argument = ""] = process.argv.slice(2);
const transport = createGrpcTransport({
  baseUrl: "http://localhost",
  nodeOptions: { createConnection: () => connect(socket) },
});
process.send?.(what === "snapshot" ? await snapshot(argument) : await list(argument));
process.exit();

async function snapshot(key: string): Promise<number> {
  const headers = key === "" ? {} : { "x-api-key": key };
  let states = 0;
  for await (const { event } of createClient(TokenService, transport).watchTokens({}, { headers })) {
    if (event.case !== "state") break;
    states++;
  }
  return states;
}

async function list(search: string): Promise<number> {
  const client = createClient(ConnectionService, transport);
  let [found, pageToken] = [0, ""];
  for (let page = 0; page < 20; page++) {
    const answer = await client.listConnections({ pageSize: 1_000, pageToken, search });
    found += answer.connections.length;
    pageToken = answer.nextPageToken;
  }
  return found;
}
