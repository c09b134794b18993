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

function encodeFields(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (const field of fields) {
    const text = Buffer.from(field, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    parts.push(length, text);
  }
  return Buffer.concat(parts);
}
