import { createHash } from "node:crypto";
import { type Child, Fragment } from "hono/jsx";

/** What a component puts in: texts are escaped. */
export type View = Child;
export type Children = { readonly children?: View };

/** The HTML of a view. Every text and attribute in it was escaped by the library; components here are never asynchronous. */
export function render(view: View): string {
  // A list needs an element around it, and this one leaves no trace.
  return String(Fragment({ children: [view] }));
}

// hono looks for AsyncLocalStorage once, for components that wait. In use it makes every promise of the daemon call hooks (Node 20, 22).
const { getBuiltinModule } = process;
process.getBuiltinModule = () => undefined;
render("");
process.getBuiltinModule = getBuiltinModule;

/** A whole page. */
export function document(page: {
  readonly title: string;
  readonly head: View;
  readonly body: View;
  /** The daemon's time, by which a script counts. */
  readonly nowMs?: number | undefined;
  /** `light` or `dark`, instead of that of the system. */
  readonly theme?: string | undefined;
}): string {
  const { title, head, body, nowMs, theme } = page;
  return `<!doctype html>\n${render(
    <html lang="en" data-theme={theme}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{title}</title>
        {head}
      </head>
      <body data-now={nowMs}>{body}</body>
    </html>,
  )}\n`;
}

const tileColors = 6;

/** A provider in a colored tile: its own mark would be somebody's trademark. */
export function Monogram({ name, big }: { readonly name: string; readonly big?: boolean }) {
  const [first = "?"] = [...name.replace(/[^\p{L}\p{N}]/gu, "")];
  const color = (createHash("sha256").update(name).digest()[0] ?? 0) % tileColors;
  return <span class={`tile t${color}${big ? " big" : ""}`} aria-hidden="true">{first}</span>;
}

/** Drawn, because not every font has one. */
export function CheckMark() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="3" aria-hidden="true">
      <path d="m4 13 5 5L20 6" />
    </svg>
  );
}

/** Terms and what they are; what is empty is left out. */
export function Facts({ of }: { readonly of: readonly (readonly [term: string, value: View])[] }) {
  const known = of.filter(([, value]) => value !== "" && value !== undefined && value !== false);
  if (known.length === 0) return null;
  return <dl class="facts">{known.map(([term, value]) => <div><dt>{term}</dt><dd>{value}</dd></div>)}</dl>;
}
