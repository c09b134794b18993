/** A key that a person pressed. */
export interface Key {
  /** What it types; empty when it types nothing. */
  readonly text: string;
  /** As Node's `readline` names it: `return`, `up`, `backspace`; undefined for one without a name. */
  readonly name: string | undefined;
  readonly ctrl: boolean;
}

/** What a list of choices looks like while a person types. */
export interface SearchPrompt<Item> {
  readonly question: string;
  /** The items that `query` finds, the best first. */
  readonly find: (query: string) => readonly Item[];
  /** One line, without control characters. */
  readonly lineOf: (item: Item) => string;
}

export interface SearchState {
  readonly query: string;
  /** Among what the query finds, from 0. */
  readonly selected: number;
  readonly end: "chosen" | "cancelled" | undefined;
}

export const searchStart: SearchState = { query: "", selected: 0, end: undefined };

/** How many choices are shown at once. */
const maxLines = 8;

/** What a key makes of the state. */
export function pressed<Item>(prompt: SearchPrompt<Item>, state: SearchState, key: Key): SearchState {
  const { query, selected } = state;
  const count = prompt.find(query).length;
  if (key.ctrl && (key.name === "c" || key.name === "d")) return { ...state, end: "cancelled" };
  if (key.ctrl && key.name === "u") return searchStart;
  switch (key.name) {
    case "escape":
      return { ...state, end: "cancelled" };
    case "return":
    case "enter":
      return count === 0 ? state : { ...state, end: "chosen" };
    case "up":
      return { ...state, selected: Math.max(0, selected - 1) };
    case "down":
    case "tab":
      return { ...state, selected: Math.max(0, Math.min(count - 1, selected + 1)) };
    case "backspace":
      return { ...searchStart, query: [...query].slice(0, -1).join("") };
    default:
      return /^\P{Cc}+$/u.test(key.text) && !key.ctrl ? { ...searchStart, query: query + key.text } : state;
  }
}

/** The item that is chosen; undefined when the query finds none. */
export function selectedItem<Item>(prompt: SearchPrompt<Item>, state: SearchState): Item | undefined {
  return prompt.find(state.query)[state.selected];
}

/** The lines to show, none wider than `columns`. The first is the question with what was typed. */
export function searchLines<Item>(prompt: SearchPrompt<Item>, state: SearchState, columns: number): string[] {
  const found = prompt.find(state.query);
  const first = Math.max(0, Math.min(state.selected - maxLines + 1, found.length - maxLines));
  const shown = found.slice(first, first + maxLines).map((item, index) => {
    const mark = first + index === state.selected ? ">" : " ";
    return `${mark} ${prompt.lineOf(item)}`;
  });
  const more = found.length - shown.length;
  const lines = [
    `${prompt.question} ${state.query}`,
    ...shown,
    found.length === 0
      ? "  none is called so"
      : more > 0
        ? `  ${more} more: type, or use the arrow keys`
        : "",
  ];
  return lines.filter((line) => line !== "").map((line) => line.slice(0, Math.max(1, columns - 1)));
}

/** What the search reads from, and writes to. */
interface Terminal {
  readonly stdin: { readKeys(onKey: (key: Key) => "more" | "end", onReady: () => void): Promise<void> };
  readonly stderr: { readonly columns?: number | undefined; write(text: string): void };
}

/**
 * Lets a person type until one item is chosen.
 *
 * @returns undefined when the person gave up
 */
export async function search<Item>(
  { stdin, stderr }: Terminal,
  prompt: SearchPrompt<Item>,
): Promise<Item | undefined> {
  let state = searchStart;
  let drawn = 0;
  const draw = (lines: readonly string[]): void => {
    // To the start of what was drawn, and everything below it goes.
    const back = drawn > 1 ? `\x1b[${drawn - 1}A` : "";
    stderr.write(`${drawn > 0 ? `${back}\r\x1b[0J` : ""}${lines.join("\r\n")}`);
    drawn = lines.length;
  };
  const columns = (): number => stderr.columns ?? 80;
  const drawState = (): void => draw(searchLines(prompt, state, columns()));
  await stdin.readKeys((key) => {
    state = pressed(prompt, state, key);
    if (state.end !== undefined) return "end";
    drawState();
    return "more";
  }, drawState);
  const item = state.end === "chosen" ? selectedItem(prompt, state) : undefined;
  draw([
    `${prompt.question} ${item === undefined ? "" : prompt.lineOf(item).trimEnd()}`.slice(0, columns() - 1),
  ]);
  stderr.write("\r\n");
  return item;
}
