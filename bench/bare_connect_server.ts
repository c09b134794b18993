/** connect-node and nothing else: `bare_connect_server.ts PORT BYTES` answers every `GetToken` with one message of that size. */
import { createServer } from "node:http";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { TokenService, TokenServiceGetTokenResponseSchema } from "../src/gen/nexus/v1/token_pb.js";

const [port = "0", bytes = "0"] = process.argv.slice(2);
const answer = create(TokenServiceGetTokenResponseSchema, {
  token: { credentials: { access_token: "a".repeat(Number(bytes)) } },
});
const handle = connectNodeAdapter({
  routes: (router) => void router.service(TokenService, { getToken: () => answer }),
});
createServer(handle).listen(Number(port), "127.0.0.1", () => process.send?.("ready"));
process.once("disconnect", () => process.exit(0));
