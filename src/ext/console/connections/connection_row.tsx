import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type Connection, ConnectionSchema } from "../../../gen/nexus/v1/connection_pb.js";
import { accountText } from "../../../model/credentials/account.js";
import { counted } from "../../../model/quantity_text.js";
import { Chip, Moment } from "../../../server/views/parts.js";
import { Monogram } from "../../../server/views/view.js";
import { adviceOf, stateWord } from "../kit/words.js";

export const connectionsPath = "/connections";

/** What a connection is shown with. */
export interface Shown {
  readonly nameOf: (connection: Connection) => string;
  readonly nowMs: number;
  /** Whether rows can be selected. */
  readonly canSelect?: boolean;
}

export function elementId(connectionId: string): string {
  return `c-${connectionId}`;
}

/** What the script replaces when anything of a connection is other, and whose changes of state it reads out. */
export function liveAttributes(connection: Connection, name: string) {
  const version = createHash("sha256")
    .update(toBinary(ConnectionSchema, connection))
    .digest("hex")
    .slice(0, 16);
  const { text, meaning, tone } = stateWord(connection);
  return {
    id: elementId(connection.id),
    "data-version": version,
    "data-name": `${name}, ${connection.userId}`,
    "data-state": tone === "warn" ? meaning : text,
  };
}

/** Roles are written out: the narrow layout takes them from the elements. Hidden until the script puts a row in. */
export function ConnectionTable(props: Shown & { readonly connections: readonly Connection[] }) {
  const { connections, canSelect = false } = props;
  const columns = ["Provider", "User", "State", "Account", "Scopes", "Token ends"];
  return (
    <table class="rows connections" role="table" hidden={connections.length === 0}>
      <caption class="hidden">Connections</caption>
      <thead role="rowgroup">
        <tr role="row">
          {canSelect && (
            <td role="cell" class="pick">
              <input type="checkbox" data-all aria-label="Select all" hidden />
            </td>
          )}
          {columns.map((title) => <th scope="col" role="columnheader">{title}</th>)}
        </tr>
      </thead>
      <tbody role="rowgroup">{connections.map((connection) => connectionRow(connection, props))}</tbody>
    </table>
  );
}

export function connectionRow(connection: Connection, { nameOf, nowMs, canSelect }: Shown) {
  const { id, userId, label, account, expiresAt, grantedScopes, requestedScopes } = connection;
  const name = nameOf(connection);
  const scopes = grantedScopes.length > 0 ? grantedScopes : requestedScopes;
  const end = expiresAt && <Moment time={expiresAt} nowMs={nowMs} />;
  const accountName = accountText(account);
  return (
    <tr role="row" {...liveAttributes(connection, name)}>
      {canSelect && (
        <td role="cell" class="pick">
          <input type="checkbox" name="id" value={id} aria-label={`Select ${userId} at ${name}`} />
        </td>
      )}
      <th scope="row" role="rowheader" data-label="Provider">
        <a class="named" href={`${connectionsPath}/${id}`}><Monogram name={name} /><bdi>{name}</bdi></a>
      </th>
      <td role="cell" data-label="User">
        <bdi>{userId}</bdi>
        {label !== "" && <span class="tag"><bdi>{label}</bdi></span>}
      </td>
      <td role="cell" data-label="State"><State connection={connection} nowMs={nowMs} /></td>
      <td role="cell" data-label="Account">
        {accountName === "" ? <span class="soft none">{"\u2013"}</span> : <bdi>{accountName}</bdi>}
      </td>
      <td role="cell" data-label="Scopes" title={scopes.join(" ")}>
        {scopes.length === 0 ? <span class="soft none">{"\u2013"}</span> : counted(scopes.length, "scope")}
      </td>
      <td role="cell" data-label="Token ends">{end ?? <span class="soft none">{"\u2013"}</span>}</td>
    </tr>
  );
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
