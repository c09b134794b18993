import { createRegistry, type Message, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import { services } from "../../gen/nexus/v1/services.js";
import { formatDuration } from "../../model/quantity_text.js";
import { colorOfState, plainScreen, type Screen } from "../terminal/screen.js";
import { layoutTable } from "../terminal/table.js";

/** Text of others, safe to print: a control character would let a name steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "?");
}

/** The same where lines may stay lines: an error that ends with commands. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** Text of others as one word of a shell, for a command to paste. */
export function shellWord(text: string): string {
  const word = printable(text);
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A table of what others may have written; see `layoutTable`. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  screen: Screen = plainScreen,
): string {
  return layoutTable(
    header,
    rows.map((row) => row.map(printable)),
    screen,
  );
}

/** `name  value` lines; empty values are left out. A `status` has the color of its state. */
export function formatFields(
  fields: readonly (readonly [name: string, value: string])[],
  screen: Screen = plainScreen,
): string {
  const filled = fields.filter(([, value]) => value !== "");
  const width = Math.max(0, ...filled.map(([name]) => name.length));
  return filled
    .map(([name, value]) => {
      const color = name === "status" ? colorOfState(value) : undefined;
      return `${name.padEnd(width)}  ${screen.paint(color, printableLines(value))}\n`;
    })
    .join("");
}

/** `active` for `CONNECTION_STATUS_ACTIVE`. A number of a newer daemon stays a number. */
export function formatStatus(status: ConnectionStatus): string {
  return ConnectionStatus[status]?.toLowerCase() ?? `status ${status}`;
}

/** `expires in 59m` or `expired 3s ago`; empty when the time is unset. */
export function formatExpiry(expiresAt: Timestamp | undefined, nowMs: number): string {
  if (!expiresAt) return "";
  const remainingMs = timestampMs(expiresAt) - nowMs;
  return remainingMs > 0
    ? `expires in ${formatDuration(remainingMs)}`
    : `expired ${formatDuration(-remainingMs)} ago`;
}

/** `2026-11-24T15:40:00Z`; empty when the time is unset. */
export function formatTime(time: Timestamp | undefined): string {
  return time ? new Date(timestampMs(time)).toISOString().replace(/\.\d+Z$/, "Z") : "";
}

/** `3m ago` or `in 89d`; empty when the time is unset. */
export function formatAge(time: Timestamp | undefined, nowMs: number): string {
  if (!time) return "";
  const ageMs = nowMs - timestampMs(time);
  return ageMs < 0 ? `in ${formatDuration(-ageMs)}` : ageMs < 1000 ? "now" : `${formatDuration(ageMs)} ago`;
}

/** `2026-11-24T15:40:00Z (3m ago)`; empty when the time is unset. */
export function formatWhen(time: Timestamp | undefined, nowMs: number): string {
  return time ? `${formatTime(time)} (${formatAge(time, nowMs)})` : "";
}

/** The first group of a UUID: enough for a person to distinguish connections. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** One line of protobuf JSON with the field names of the proto files. */
export function jsonLine(message: Message): string {
  const schema = answers.getMessage(message.$typeName);
  if (!schema) throw new Error(`no service of the daemon answers ${message.$typeName}`);
  return `${JSON.stringify(toJson(schema, message, { useProtoFieldName: true }))}\n`;
}

const answers = createRegistry(...services.map(({ file }) => file));
