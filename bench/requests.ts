import { create, toBinary } from "@bufbuild/protobuf";
import { TokenServiceGetTokenRequestSchema, WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";

export const getTokenPath = "/nexus.v1.TokenService/GetToken";

export const getTokenMessage = (connectionId: string): Uint8Array =>
  toBinary(TokenServiceGetTokenRequestSchema, create(TokenServiceGetTokenRequestSchema, { connectionId }));

/** @param connectionIds none: all */
export const watchMessage = (connectionIds: string[]): Uint8Array =>
  toBinary(
    WatchTokensRequestSchema,
    create(WatchTokensRequestSchema, { connectionIds, bookmarkInterval: { seconds: 120n, nanos: 0 } }),
  );

/** A message as gRPC frames it. */
export function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
