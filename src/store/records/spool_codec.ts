import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConnectionRecordSchema,
  CredentialRecordSchema,
  SpoolRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import { type SpooledTokenSet, spooledGrants } from "../../model/connections/spooled_token_set.js";
import { connectionEncoder, decodeConnection } from "./connection_codec.js";
import { decodeWord, encodeWord } from "./field_codec.js";
import { decodeSealedCredential, encodeSealedCredential } from "./sealed_codec.js";

export function encodeSpooled(spooled: SpooledTokenSet): Uint8Array {
  return toBinary(
    SpoolRecordSchema,
    create(SpoolRecordSchema, {
      grant: encodeWord(spooledGrants, spooled.grant),
      connection: fromBinary(ConnectionRecordSchema, connectionEncoder(spooled.connection)(0n)),
      attempt: spooled.attempt ?? "",
      credential: fromBinary(CredentialRecordSchema, encodeSealedCredential(spooled.credential)),
    }),
  );
}

/** @throws Error on what is no such record, or holds a word that this version does not know */
export function decodeSpooled(bytes: Uint8Array): SpooledTokenSet {
  const record = fromBinary(SpoolRecordSchema, bytes);
  const { connection, credential } = record;
  if (!connection || !credential) throw new RangeError("a spooled token set without its parts");
  return {
    grant: decodeWord(spooledGrants, record.grant),
    connection: decodeConnection(toBinary(ConnectionRecordSchema, connection)).connection,
    credential: decodeSealedCredential(toBinary(CredentialRecordSchema, credential)),
    ...(record.attempt !== "" && { attempt: record.attempt }),
  };
}
