import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatDuration } from "../../model/quantity_text.js";
import type { Children, View } from "./view.js";

/** How long ago or in how long, which the script counts on; the moment itself is its title. */
export function Moment({
  time,
  nowMs,
  none = "\u2013",
}: {
  readonly time: Timestamp | undefined;
  readonly nowMs: number;
  readonly none?: string;
}) {
  if (!time) return <span class="soft none">{none}</span>;
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

/** Terms and what they are; what is empty is left out. */
export function Facts({ of }: { readonly of: readonly (readonly [term: string, value: View])[] }) {
  const known = of.filter(([, value]) => value !== "" && value !== undefined);
  if (known.length === 0) return null;
  return <dl class="facts">{known.map(([term, value]) => <div><dt>{term}</dt><dd>{value}</dd></div>)}</dl>;
}

/** A link that looks like a button. */
export function Go(props: { readonly to: string; readonly text: View; readonly kind?: string }) {
  const { to, text, kind } = props;
  return <a class={kind === undefined ? "button" : `button ${kind}`} href={to}>{text}</a>;
}

/** At the end of a form. */
export function FormButtons(props: {
  readonly text: string;
  readonly cancel: string;
  readonly kind?: string;
}) {
  return (
    <div class="actions">
      <button type="submit" class={props.kind}>{props.text}</button>
      <Go to={props.cancel} text="Cancel" kind="quiet" />
    </div>
  );
}

/** A part of a page with a heading. */
export function Card(
  props: Children & { readonly id: string; readonly title: View; readonly class?: string },
) {
  const { id, title, children, class: more = "card" } = props;
  return <section class={more} aria-labelledby={id}><h2 id={id}>{title}</h2>{children}</section>;
}

export interface Row {
  readonly id?: string;
  readonly cells: readonly View[];
}

/** A table; on a phone each row is a card. The first cell is the head of its row where `isHeaded`. */
export function Table(props: {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly isHeaded?: boolean;
}) {
  const { caption, columns, rows, isHeaded = true } = props;
  return (
    <table class="rows">
      <caption class="hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map((name) => (
            <th scope="col">{name === "" ? <span class="hidden">Actions</span> : name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ id, cells }) => (
          <tr id={id}>
            {cells.map((cell, index) =>
              index === 0 && isHeaded ? <th scope="row" data-label={columns[0]}>{cell}</th> : (
                <td data-label={columns[index]}>
                  <div>{cell}</div>
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Links that choose what a list is of. */
export function Tabs(props: {
  readonly label: string;
  readonly tabs: readonly { readonly href: string; readonly text: View; readonly isCurrent: boolean }[];
  /** The page that has newer counts. */
  readonly counts?: string;
}) {
  return (
    <nav class="tabs" aria-label={props.label} data-counts={props.counts}>
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
  if (scopes.length === 0) return <span class="soft none">{"\u2013"}</span>;
  return <ul class="tags">{scopes.map((scope) => <li><bdi>{scope}</bdi></li>)}</ul>;
}
