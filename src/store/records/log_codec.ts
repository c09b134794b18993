import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ChangeRecordSchema, DiscoveryRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";

/** The newest change of one connection. */
export interface Change {
  readonly revision: bigint;
  readonly connectionId: string;
  readonly removed: boolean;
  readonly userId: string;
  /** Empty in changes of before it was kept. */
  readonly providerId: string;
  readonly label: string;
}

/** A change as the commit that made it reports it. */
export interface CommittedChange extends Change {
  /** When the connection is due after it. */
  readonly dueAtMs: number | undefined;
}

/** A discovery document as it was fetched, unparsed. */
export interface StoredDiscovery {
  readonly document: string;
  readonly fetchedAtMs: number;
}

export function encodeChange(change: Change): Uint8Array {
  const { connectionId, removed, userId, providerId, label } = change;
  const record = create(ChangeRecordSchema, { connectionId, removed, userId, providerId, label });
  return toBinary(ChangeRecordSchema, record);
}

export function decodeChange(revision: bigint, bytes: Uint8Array): Change {
  const { connectionId, removed, userId, providerId, label } = fromBinary(ChangeRecordSchema, bytes);
  return { revision, connectionId, removed, userId, providerId, label };
}

export function encodeDiscovery(discovery: StoredDiscovery): Uint8Array {
  const { document, fetchedAtMs } = discovery;
  return toBinary(
    DiscoveryRecordSchema,
    create(DiscoveryRecordSchema, { document, fetchedAtMs: BigInt(fetchedAtMs) }),
  );
}

export function decodeDiscovery(bytes: Uint8Array): StoredDiscovery {
  const { document, fetchedAtMs } = fromBinary(DiscoveryRecordSchema, bytes);
  return { document, fetchedAtMs: Number(fetchedAtMs) };
}
