// A server under test, as connectconformance starts it: it is told what to be on stdin, and says on stdout where it listens.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { conformanceService } from "./conformance_service.js";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.js";
import { openServer } from "./open_server.js";

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) {
  chunks.push(chunk as Buffer);
  const received = Buffer.concat(chunks);
  if (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0)) break;
}
const request = fromBinary(ServerCompatRequestSchema, Buffer.concat(chunks).subarray(4));
const { useTls, serverCreds, clientTlsCert, messageReceiveLimit } = request;
const tls = useTls
  ? {
      certificate: Buffer.from(serverCreds?.cert ?? []),
      key: Buffer.from(serverCreds?.key ?? []),
      clientCa: clientTlsCert.length === 0 ? undefined : Buffer.from(clientTlsCert),
    }
  : undefined;
const loopback = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
const listener = await openServer(conformanceService, loopback, tls, messageReceiveLimit);
process.once("SIGTERM", () => void listener.close(AbortSignal.abort()).then(() => process.exit(0)));
const [address] = listener.addresses;
const response = toBinary(
  ServerCompatResponseSchema,
  create(ServerCompatResponseSchema, {
    host: "127.0.0.1",
    port: address?.kind === "tcp" ? address.port : 0,
    pemCert: tls?.certificate ?? new Uint8Array(),
  }),
);
const head = Buffer.alloc(4);
head.writeUInt32BE(response.length);
process.stdout.write(Buffer.concat([head, response]));
