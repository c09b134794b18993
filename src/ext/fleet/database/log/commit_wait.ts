import { isOfServer } from "../connection/session.js";

/** A commit of the leader that has no verdict of the database. */
export interface CommitWait {
  /** Since its first attempt failed. */
  readonly waitedMs: number;
  /** Of the last attempt. */
  readonly error: unknown;
}

/** A database that restarts or fails over takes so long; what lasts longer needs an operator, and its callers an answer. */
export const longCommitMs = 15_000;

/** What to do, by SQLSTATE or its class. */
const remedies: Readonly<Record<string, string>> = {
  "53100": "free space on the database's disk, or enlarge it",
  "53200": "give the database more memory",
  "53300": "raise max_connections of the database, or close what holds its connections",
  "25": "end what makes the database read-only",
  "42": "give the role back what it lacks, or run nexusd fleet migrate",
  "57": "start the database, or wait until it has started",
  "58": "look at the disk of the database and at its log",
  XX: "look at the log of the database: its files may be damaged",
};

/** For an operator. The server's message names no value of a record, since a batch is bytes to it. */
export function commitWaitSentence({ waitedMs, error }: CommitWait): string {
  const seconds = Math.round(waitedMs / 1_000);
  return `the database has not committed for ${seconds} s, and nothing is written meanwhile: ${reasonOf(error)}`;
}

/** For an operator, where the database answers over other connections: it, or a pooler before it, has too few of them. */
export function fewConnectionsSentence(purpose: string, error: unknown): string {
  return (
    `the database gives this hub no connection for the ${purpose} (${reasonOf(error)}): ` +
    "a hub needs four; raise pool_size of PgBouncer, max_connections, or the CONNECTION LIMIT of the role"
  );
}

/** What the database reported, with its SQLSTATE and what to do about it. */
export function reasonOf(error: unknown): string {
  if (!isOfServer(error)) return error instanceof Error ? error.message : String(error);
  const { code, message } = error;
  const remedy = remedies[code] ?? remedies[code.slice(0, 2)] ?? "look at the log of the database";
  return `${message} (SQLSTATE ${code}): ${remedy}`;
}
