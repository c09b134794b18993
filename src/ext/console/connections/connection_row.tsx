import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import { accountText } from "../../../model/credentials/credentials.js";
import { counted } from "../../../model/model.js";
import { Monogram } from "../../../server/pages/kit.js";
import { Chip, Moment, None, type TableRow } from "../kit/parts.js";
import { adviceOf, stateWord } from "../kit/words.js";

export const connectionsPath = "/connections";

/** What the row of a connection needs beside it. */
export interface RowGround {
  readonly nameOf: (connection: Connection) => string;
  readonly nowMs: number;
}

/** What the script reads out when the state changes. */
export function stateAttributes(connection: Connection, name: string) {
  const { text, meaning, tone } = stateWord(connection);
  return { "data-name": `${name}, ${connection.userId}`, "data-state": tone === "warn" ? meaning : text };
}

export function connectionRow(connection: Connection, { nameOf, nowMs }: RowGround, canSelect: boolean): TableRow {
  const { id, userId, label, account, expiresAt } = connection;
  const name = nameOf(connection);
  const scopes = scopesOf(connection);
  const accountName = accountText(account);
  return {
    id: `c-${id}`,
    attributes: stateAttributes(connection, name),
    cells: [
      ...(canSelect
        ? [<input type="checkbox" name="id" value={id} aria-label={`Select ${userId} at ${name}`} />]
        : []),
      <a class="named" href={`${connectionsPath}/${id}`}><Monogram name={name} /><bdi>{name}</bdi></a>,
      <><bdi>{userId}</bdi>{label !== "" && <span class="tag"><bdi>{label}</bdi></span>}</>,
      <State connection={connection} nowMs={nowMs} />,
      accountName === "" ? <None /> : <bdi>{accountName}</bdi>,
      scopes.length === 0 ? <None /> : <span title={scopes.join(" ")}>{counted(scopes.length, "scope")}</span>,
      <span class={isOver(connection, nowMs) ? "over" : undefined}><Moment time={expiresAt} nowMs={nowMs} /></span>,
    ],
  };
}

/** Those that were requested, until some are granted. */
export function scopesOf({ grantedScopes, requestedScopes }: Connection): readonly string[] {
  return grantedScopes.length > 0 ? grantedScopes : requestedScopes;
}

export function isOver({ expiresAt }: Connection, nowMs: number): boolean {
  return expiresAt !== undefined && timestampMs(expiresAt) <= nowMs;
}

/** In color and in words, with the problem and what to do; a row has no more than a line of it. */
export function State({ connection, nowMs }: { readonly connection: Connection; readonly nowMs: number }) {
  const { problem, awaitingConfirmation } = connection;
  const { text, meaning, tone } = stateWord(connection);
  return (
    <>
      <Chip tone={tone} title={meaning}>{text}</Chip>
      {awaitingConfirmation && <p class="why">{meaning}</p>}
      {problem && (
        <p class="why">
          <b>{adviceOf(problem)}</b> <bdi>{problem.message}</bdi>
          {problem.retryAt && <> Next try <Moment time={problem.retryAt} nowMs={nowMs} />.</>}
        </p>
      )}
    </>
  );
}
