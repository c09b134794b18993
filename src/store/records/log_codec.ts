import { ChangeRecordSchema, DiscoveryRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { recordForm, time } from "./record_form.js";

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

const changes = recordForm<Change, typeof ChangeRecordSchema>(ChangeRecordSchema, {});
export const encodeChange = changes.encode;

export function decodeChange(revision: bigint, bytes: Uint8Array): Change {
  return { ...changes.decode(bytes), revision };
}

export const { encode: encodeDiscovery, decode: decodeDiscovery } = recordForm<
  StoredDiscovery,
  typeof DiscoveryRecordSchema
>(DiscoveryRecordSchema, { fetchedAtMs: time });
