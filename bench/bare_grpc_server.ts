/** A grpc-js server and nothing else: `bare_grpc_server.ts SOCKET BYTES` answers every `GetToken` with one prepared message. */
import { Server, ServerCredentials } from "@grpc/grpc-js";

const [socket = "", bytes = "0"] = process.argv.slice(2);
const answer = Buffer.alloc(Number(bytes), 1);
const asIs = (buffer: Buffer): Buffer => buffer;

const server = new Server();
server.addService(
  {
    getToken: {
      path: "/nexus.v1.TokenService/GetToken",
      originalName: "getToken",
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  },
  { getToken: (_call: unknown, callback: (error: null, response: Buffer) => void) => callback(null, answer) },
);
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), () => process.send?.("ready"));
process.once("disconnect", () => process.exit(0));
