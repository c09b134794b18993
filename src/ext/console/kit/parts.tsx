import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatDuration } from "../../../model/model.js";
import type { Children, View } from "../../../server/pages/kit.js";

/** How long ago or in how long, which the script counts on; the moment itself is its title. */
export function Moment(props: {
  readonly time: Timestamp | undefined;
  readonly nowMs: number;
  readonly none?: string | undefined;
}) {
  const { time, nowMs, none } = props;
  if (!time) return none === undefined ? <None /> : <span class="soft none">{none}</span>;
  const atMs = timestampMs(time);
  return <time datetime={isoOf(atMs)} title={utcOf(atMs)} data-count={atMs}>{wordsOf(atMs - nowMs)}</time>;
}

/** `2026-11-27 10:31:05 UTC` */
export function utcOf(timeMs: number): string {
  return isoOf(timeMs).replace("T", " ").replace("Z", " UTC");
}

export function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The script has the same words. */
function wordsOf(leftMs: number): string {
  if (Math.abs(leftMs) < 1_000) return "now";
  return leftMs > 0 ? `in ${formatDuration(leftMs)}` : `${formatDuration(-leftMs)} ago`;
}

export type Tone = "good" | "warn" | "bad" | "calm" | "idle";

/** @param title what the word says */
export function Chip(props: Children & { readonly tone: Tone; readonly title?: string }) {
  return <span class={`state ${props.tone}`} title={props.title}>{props.children}</span>;
}

/** A link that looks like a button. */
export function Go(props: {
  readonly to: string;
  readonly text: View;
  readonly kind?: string;
  readonly rel?: string;
}) {
  const { to, text, kind, rel } = props;
  return <a class={kind === undefined ? "button" : `button ${kind}`} rel={rel} href={to}>{text}</a>;
}

/** A part of a page with a heading. */
export function Card({ id, title, children }: Children & { readonly id: string; readonly title: View }) {
  return <section class="card" aria-labelledby={id}><h2 id={id}>{title}</h2>{children}</section>;
}

export interface TableRow {
  readonly id?: string;
  readonly cells: readonly View[];
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface Column {
  /** Stands beside each cell where a row is a card. */
  readonly label: string;
  /** Instead of the label. */
  readonly head?: View;
  readonly class?: string;
  readonly sort?: "ascending" | "descending";
}

/**
 * A table; on a phone each row is a card, for which roles are written out: that layout takes them from the elements. The first cell
 * without a class is the head of its row where `isHeaded`.
 */
export function Table(props: {
  readonly caption: string;
  readonly columns: readonly (string | Column)[];
  readonly rows: readonly TableRow[];
  readonly isHeaded?: boolean;
  readonly class?: string;
}) {
  const { caption, rows, isHeaded = true } = props;
  const columns = props.columns.map((each): Column => (typeof each === "string" ? { label: each } : each));
  const headed = isHeaded ? columns.findIndex((each) => each.class === undefined) : -1;
  return (
    <table class={props.class ?? "rows"} role="table">
      <caption class="hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ label, head = label, sort, ...more }) => (
            <th scope="col" role="columnheader" class={more.class} aria-sort={sort}>
              {head === "" ? <span class="hidden">Actions</span> : head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ id, cells, attributes }) => (
          <tr role="row" id={id} {...attributes}>
            {cells.map((cell, index) => {
              const of = { "data-label": columns[index]?.label, class: columns[index]?.class };
              if (index === headed) return <th scope="row" role="rowheader" {...of}>{cell}</th>;
              return <td role="cell" {...of}><div>{cell}</div></td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Where a cell has nothing to say. */
export function None() {
  return <span class="soft none">{"\u2013"}</span>;
}

/** What stands where there is nothing yet. @param command what does the same in a terminal */
export function Empty(props: Children & { readonly title: string; readonly command?: string }) {
  return (
    <div class="card empty">
      <h2>{props.title}</h2>
      {props.children}
      {props.command !== undefined && <p class="soft">In a terminal: <code>{props.command}</code></p>}
    </div>
  );
}

/** Says whether the script follows what changes. */
export function LiveMark() {
  return <span class="live" data-live-state></span>;
}

/** Links that choose what a list is of. */
export function Tabs(props: {
  readonly label: string;
  readonly tabs: readonly { readonly href: string; readonly text: View; readonly isCurrent: boolean }[];
}) {
  return (
    <nav class="tabs" aria-label={props.label}>
      <ul>
        {props.tabs.map(({ href, text, isCurrent }) => (
          <li>
            <a href={href} aria-current={isCurrent ? "true" : undefined}>{text}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** A search that is submitted; with the script as one types, where `finds` names the element that holds what was found. */
export function Search(
  props: Children & {
    readonly action: string;
    readonly label: string;
    readonly value: string;
    readonly finds?: string;
  },
) {
  const { action, label, value, finds, children } = props;
  return (
    <form class="search" role="search" method="get" action={action} data-search={finds}>
      <label class="hidden" for="search">Search by {label.toLowerCase()}</label>
      <input id="search" type="search" name="search" maxlength={128} value={value} placeholder={label} />
      {children}
      <button class="quiet" type="submit">Search</button>
    </form>
  );
}

/** A path with a query; what is empty is left out. */
export function pathWith(path: string, query: Readonly<Record<string, string>>): string {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  return given.size === 0 ? path : `${path}?${given}`;
}

export function Scopes({ scopes }: { readonly scopes: readonly string[] }) {
  if (scopes.length === 0) return <None />;
  return <ul class="tags">{scopes.map((scope) => <li><bdi>{scope}</bdi></li>)}</ul>;
}
