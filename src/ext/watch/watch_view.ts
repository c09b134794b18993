import { clone } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  formatExpiry,
  formatStatus,
  formatTable,
  jsonLine,
  printable,
  type Screen,
  shortId,
} from "../../cli/kit.js";
import { ConnectionStatus } from "../../gen/nexus/v1/connection_pb.js";
import {
  type TokenState,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../gen/nexus/v1/token_pb.js";
import { namePath } from "../../model/connections/connections.js";
import { formatDuration } from "../../model/model.js";

interface Seen {
  /** As commands take it. */
  readonly name: string;
  readonly state: TokenState;
  /** What a line says, without the time; an unchanged state makes no second line. */
  readonly content: string;
}

const watchHeader = ["ID", "PROVIDER", "USER", "STATUS", "REVISION", "TOKEN", "PROBLEM"];

/** Turns the messages of a watch into lines for a person. It never shows a token. */
export class WatchView {
  readonly #seen = new Map<string, Seen>();
  /** Connections that a new snapshot has not named yet; undefined outside of one. */
  #unconfirmed: Set<string> | undefined;

  /** How many connections are known to exist. */
  get size(): number {
    return this.#seen.size;
  }

  /** Every connection as it is now, in the order of their names: a header and a line for each. */
  table(nowMs: number, screen: Screen): string[] {
    const states = [...this.#seen.values()]
      .toSorted((one, other) => (one.name < other.name ? -1 : 1))
      .map(({ state }) => state);
    const rows = states.map((state) => [
      shortId(state.connectionId),
      state.providerName,
      state.label === "" ? state.userId : `${state.userId}/${state.label}`,
      formatStatus(state.status),
      `${state.revision}`,
      tokenText(state, nowMs),
      problemText(state, nowMs),
    ]);
    return formatTable(watchHeader, rows, screen).trimEnd().split("\n");
  }

  /** The lines that a message makes, each with its end. */
  lines({ event }: WatchTokensResponse, nowMs: number): string[] {
    switch (event.case) {
      case "state":
        return this.#state(event.value, nowMs);
      case "removed":
        return this.#removed(event.value.connectionId, nowMs);
      case "reset":
        this.#unconfirmed = new Set(this.#seen.keys());
        return [];
      case "bookmark": {
        const gone = [...(this.#unconfirmed ?? [])];
        this.#unconfirmed = undefined;
        return gone.flatMap((id) => this.#removed(id, nowMs));
      }
      default:
        return [];
    }
  }

  #state(state: TokenState, nowMs: number): string[] {
    const id = state.connectionId;
    this.#unconfirmed?.delete(id);
    const content = [
      state.status,
      state.revision,
      state.token?.expiresAt?.seconds,
      state.problem?.reason,
    ].join();
    const before = this.#seen.get(id)?.content;
    const name = namePath(state);
    this.#seen.set(id, { name, state, content });
    if (before === content) return [];
    const cells = [
      formatStatus(state.status).padEnd(9),
      `rev ${state.revision}`.padEnd(7),
      tokenText(state, nowMs),
      problemText(state, nowMs),
    ];
    return [line(nowMs, name, id, cells)];
  }

  #removed(id: string, nowMs: number): string[] {
    const name = this.#seen.get(id)?.name ?? "-";
    this.#seen.delete(id);
    this.#unconfirmed?.delete(id);
    return [line(nowMs, name, id, ["removed"])];
  }
}

/** The message as one line of JSON, its credentials left out. */
export function watchJson(message: WatchTokensResponse): string {
  const withoutCredentials = clone(WatchTokensResponseSchema, message);
  if (withoutCredentials.event.case === "state" && withoutCredentials.event.value.token)
    withoutCredentials.event.value.token.credentials = {};
  return jsonLine(withoutCredentials);
}

/** Local time of day. */
function line(nowMs: number, name: string, id: string, cells: readonly string[]): string {
  const time = new Date(nowMs).toTimeString().slice(0, 8);
  const text = cells.filter((cell) => cell !== "").join("  ");
  return `${time}  ${printable(name).padEnd(20)}  ${shortId(id)}  ${text}`.trimEnd().concat("\n");
}

function tokenText({ token, status }: TokenState, nowMs: number): string {
  if (token) return formatExpiry(token.expiresAt, nowMs) || "does not expire";
  return status === ConnectionStatus.ACTIVE ? "expired" : "";
}

function problemText({ problem }: TokenState, nowMs: number): string {
  if (!problem) return "";
  const retry = problem.retryAt
    ? `, next try in ${formatDuration(timestampMs(problem.retryAt) - nowMs)}`
    : "";
  return printable(`${problem.reason}${retry}`);
}

/** Where a panel is drawn. */
interface LiveOutput {
  readonly rows?: number | undefined;
  write(text: string): void;
}

/** Lines at the end of what a terminal shows, drawn again in place, under lines that stay. */
export class LivePanel {
  #drawn = 0;

  constructor(private readonly output: LiveOutput) {}

  /**
   * Writes lines that stay above the panel, and the panel as it is now. What is higher than the terminal is cut: it could not be drawn
   * over.
   *
   * @param lines that stay, each with its end
   * @param panel without line ends, none wider than the terminal
   */
  draw(lines: readonly string[], panel: readonly string[]): void {
    const room = Math.max(1, (this.output.rows ?? 24) - 1);
    const visible =
      panel.length <= room ? panel : [...panel.slice(0, room - 1), more(panel.length - room + 1)];
    const back = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\x1b[0J`;
    this.output.write(`${back}${lines.join("")}${visible.map((line) => `${line}\n`).join("")}`);
    this.#drawn = visible.length;
  }
}

function more(count: number): string {
  return `and ${count} more`;
}
