import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConnectionRecordSchema,
  CredentialRecordSchema,
  RescueRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import { type RescuedTokenSet, rescuedGrants } from "../../model/connections/spooled_token_set.js";
import { connectionEncoder, decodeConnection } from "./connection_codec.js";
import { decodeWord, encodeWord } from "./field_codec.js";
import { decodeSealedCredential, encodeSealedCredential } from "./sealed_codec.js";

export function encodeRescued(rescued: RescuedTokenSet): Uint8Array {
  return toBinary(
    RescueRecordSchema,
    create(RescueRecordSchema, {
      grant: encodeWord(rescuedGrants, rescued.grant),
      connection: fromBinary(ConnectionRecordSchema, connectionEncoder(rescued.connection)(0n)),
      credential: fromBinary(CredentialRecordSchema, encodeSealedCredential(rescued.credential)),
    }),
  );
}

/** @throws Error on what is no such record, or holds a word that this version does not know */
export function decodeRescued(bytes: Uint8Array): RescuedTokenSet {
  const record = fromBinary(RescueRecordSchema, bytes);
  const { connection, credential } = record;
  if (!connection || !credential) throw new RangeError("a rescued token set without its parts");
  return {
    grant: decodeWord(rescuedGrants, record.grant),
    connection: decodeConnection(toBinary(ConnectionRecordSchema, connection)).connection,
    credential: decodeSealedCredential(toBinary(CredentialRecordSchema, credential)),
  };
}
