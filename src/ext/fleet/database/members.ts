import type { Channel } from "./connection/channel.js";
import type { DatabaseSession } from "./connection/session.js";

/** A hub without a message for so long is not there. */
export const seenWithinMs = 30_000;

/** What a hub says of itself. */
export interface Member {
  /** UUID of its process. */
  readonly owner: string;
  /** What others dial. */
  readonly address: string;
  readonly version: string;
  /** The one that it knows: see `layouts.ts`. */
  readonly layout: number;
  /** Keys of the ring that it holds. */
  readonly keyIds: readonly string[];
  /** Position that it has applied. */
  readonly applied: bigint;
}

export interface SeenMember extends Member {
  /** By the database's clock. */
  readonly seenMsAgo: number;
}

type MemberRow = {
  owner: string;
  address: string;
  version: string;
  layout: number;
  key_ids: string[];
  applied: string;
  ago: number;
};

/** Who is there, by what each says every few seconds. */
export class Members {
  constructor(private readonly channel: Channel) {}

  /** Says that this process is there. @returns the database's clock, in milliseconds since the Unix epoch */
  async heartbeat(member: Member): Promise<number> {
    return await announce(this.channel, member);
  }

  /** Those that sent a message within 30 seconds. */
  async list(): Promise<SeenMember[]> {
    const rows = await this.channel.query<MemberRow>(
      `SELECT owner::text AS owner, address, version, layout, key_ids, applied::text AS applied,
         (extract(epoch FROM clock_timestamp() - seen_at) * 1000)::float8 AS ago
       FROM nexus.member WHERE seen_at > clock_timestamp() - make_interval(secs => $1) ORDER BY owner`,
      [seenWithinMs / 1_000],
    );
    return rows.map(({ key_ids: keyIds, ago, applied, ...row }) => ({
      ...row,
      keyIds,
      applied: BigInt(applied),
      seenMsAgo: Math.max(0, Math.round(ago)),
    }));
  }
}

/** The heartbeat on any connection. */
export async function announce(
  line: Pick<Channel | DatabaseSession, "query">,
  member: Member,
): Promise<number> {
  const { owner, address, version, layout, keyIds, applied } = member;
  const [row] = await line.query<{ now: number }>(
    `SELECT (extract(epoch FROM nexus.heartbeat_1($1, $2, $3, $4, $5, $6)) * 1000)::float8 AS now`,
    [owner, address, version, layout, keyIds, String(applied)],
  );
  if (!row) throw new Error("the database answers a heartbeat without a row");
  return row.now;
}
