import type { AssociatedData } from "../model/credentials/credential.js";

/** Layouts of sealed records: what the first release wrote, and what is written now. */
export const firstLayout = 1;
export const currentLayout = 2;

/** The package of the messages that are sealed (`proto/nexus/store/v1`), bound into each record. */
const schema = "nexus.store.v1";

/** Of these the first layout bound no revision. */
const withoutRevision: readonly AssociatedData["kind"][] = ["client_secret", "authorization", "import"];

/** Associated data: an unambiguous encoding, each field behind its length. */
export function encodePlace(layout: number, place: AssociatedData, keyId: string): Buffer {
  const { databaseId, kind, providerId, connectionId, revision, recordKey = "" } = place;
  if (layout === firstLayout) {
    const bound = withoutRevision.includes(kind) ? "0" : revision.toString();
    const fields = [databaseId, keyId, kind, providerId, connectionId, bound];
    return encodeFields(["nexus sealed record v1", ...fields]);
  }
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
