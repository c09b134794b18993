import type { AssociatedData } from "../model/credentials/credential.js";

/** How records are sealed: XAES-256-GCM, the place as below. */
export const layout = 1;

/** The package of the messages that are sealed (`proto/nexus/store/v1`), bound into each record. */
const schema = "nexus.store.v1";

/** Associated data: an unambiguous encoding, each field behind its length. */
export function encodePlace(place: AssociatedData, keyId: string): Buffer {
  const { databaseId, kind, providerId, connectionId, revision, recordKey = "" } = place;
  return encodeFields([
    `nexus sealed record v${layout}`,
    databaseId,
    keyId,
    schema,
    kind,
    providerId,
    connectionId,
    revision.toString(),
    recordKey,
  ]);
}

const lengthBytes = 4;

function encodeFields(fields: readonly string[]): Buffer {
  let byteLength = 0;
  for (const field of fields) byteLength += lengthBytes + Buffer.byteLength(field);
  const encoded = Buffer.allocUnsafe(byteLength);
  let end = 0;
  for (const field of fields) {
    const start = end + lengthBytes;
    const written = encoded.write(field, start, "utf8");
    encoded.writeUInt32BE(written, end);
    end = start + written;
  }
  return encoded;
}
