import { randomUUID } from "node:crypto";
import { layout } from "../../../../src/ext/fleet/database/connection/layouts.js";
import type { Member } from "../../../../src/ext/fleet/database/members.js";
import type { LogBatch, RawWrite } from "../../../../src/ext/fleet/replication/log.js";

export const databaseId = "5f0c2f3c-6a8e-4b0e-9d4e-0123456789ab";
export const firstEpoch = "a7f8c9d0-1b2c-4d3e-8f90-abcdefabcdef";

export function aMember(change: Partial<Member> = {}): Member {
  return {
    owner: randomUUID(),
    address: "hub-a:7443",
    version: "0.1.0",
    layout,
    keyIds: ["k1"],
    applied: 0n,
    ...change,
  };
}

export function aWrite(database: string, key: string, value?: string): RawWrite {
  const bytes = (text: string) => new Uint8Array(Buffer.from(text));
  return { database, key: bytes(key), value: value === undefined ? undefined : bytes(value) };
}

export function aBatch(after: bigint, writes: readonly RawWrite[] = [], id: string = randomUUID()): LogBatch {
  return { id, after, position: after + 1n, writes };
}
