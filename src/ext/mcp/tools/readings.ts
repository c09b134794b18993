/** Characters that a text can stand for at one place, in small letters, and where what writes them ends. */
export interface CharacterReading {
  readonly text: string;
  readonly end: number;
}

/** Entities of HTML for ASCII, each with its character. */
const entities = new Map(
  "amp& lt< gt> quot\" apos' Tab\t NewLine\n excl! num# dollar$ percnt% lpar( rpar) ast* plus+ comma, period. sol/ colon: semi; equals= quest? commat@ lbrack[ lsqb[ bsol\\ rbrack] rsqb] Hat^ lowbar_ grave` lbrace{ lcub{ vert| verbar| rbrace} rcub}"
    .split(" ")
    .map((entity) => [entity.slice(0, -1).toLowerCase(), entity.slice(-1)]),
);

/** What stands behind a backslash in JSON, and the apostrophe of other languages. */
const backslashed: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
};

/** Of one place: escapes within escapes, three deep at least. It bounds what a text full of escapes costs. */
const maxReadings = 8;
const maxDigits = 8;

/**
 * A text as a server that decodes it may read it: percent encoding, the escapes of JSON, entities of HTML, the plus of a form, also one within another.
 * At each place begins a reading of its own, since what stands before it may be chosen to lead a decoder astray: `%` before `41`.
 */
export class Readings {
  /** Of places where an escape begins. */
  readonly #escapes = new Map<number, readonly CharacterReading[]>();
  readonly #text: string;

  constructor(text: string) {
    this.#text = fold(text);
    // From the end, since the characters of an escape may be escapes.
    for (let place = text.length - 1; place >= 0; place--) {
      if (!"%\\&+".includes(text.charAt(place))) continue;
      const found = this.#readingsFrom(place);
      if (found.length > 1) this.#escapes.set(place, found);
    }
  }

  at(place: number): readonly CharacterReading[] {
    if (place >= this.#text.length) return [];
    return this.#escapes.get(place) ?? [{ text: this.#text.charAt(place), end: place + 1 }];
  }

  /**
   * Where `wanted` ends that begins at a place, the furthest; undefined where the text cannot be read so.
   *
   * @param cut a place where the text ends for this question: what is read up to there may go on as it is wanted
   * @param isSkipped what may stand between the characters
   */
  endOf(
    wanted: string,
    start: number,
    cut = Number.POSITIVE_INFINITY,
    isSkipped = (_text: string) => false,
  ): number | undefined {
    const open = [{ place: start, done: 0 }];
    const seen = new Set<number>();
    let furthest: number | undefined;
    // It grows.
    for (const { place, done } of open) {
      if (done === wanted.length || place >= cut) {
        furthest = Math.max(furthest ?? 0, place);
        continue;
      }
      for (const { text, end } of this.at(place)) {
        const skips = done > 0 && isSkipped(text);
        if (!skips && !wanted.startsWith(text, done)) continue;
        const next = { place: end, done: skips ? done : done + text.length };
        const key = next.place * (wanted.length + 1) + next.done;
        if (!seen.has(key)) open.push(next);
        seen.add(key);
      }
    }
    return furthest;
  }

  #readingsFrom(place: number): CharacterReading[] {
    const found: CharacterReading[] = [{ text: this.#text.charAt(place), end: place + 1 }];
    // It grows: what an escape stands for may begin another one.
    for (const lead of found) {
      for (const { text, end } of this.#decode(lead, place)) {
        const isKnown = found.some((one) => one.end === end && one.text === text);
        if (!isKnown && found.length < maxReadings) found.push({ text, end });
      }
    }
    return found;
  }

  *#decode({ text, end }: CharacterReading, start: number): Generator<CharacterReading> {
    if (text === "+") yield { text: " ", end };
    if (text === "%" || text === "\\") yield* this.#unit(end, text === "%" ? 2 : undefined);
    if (text === "\\") {
      for (const next of this.at(end)) {
        const escaped = backslashed[next.text];
        // Whatever escapes one of two backslashes escapes the other alike.
        const isPair = escaped !== "\\" || next.end - end === end - start;
        if (escaped !== undefined && isPair) yield { text: escaped, end: next.end };
      }
    }
    if (text === "&") yield* this.#entity(end);
  }

  /** `41` after a percent sign, `x41` after a backslash, `u0041` after both. */
  *#unit(place: number, digits: number | undefined): Generator<CharacterReading> {
    if (digits !== undefined) yield* this.#code(place, digits);
    for (const { text, end } of this.at(place))
      if (text === "x" || text === "u") yield* this.#code(end, text === "x" ? 2 : 4);
  }

  *#code(place: number, length: number): Generator<CharacterReading> {
    const { text, end } = this.#run(place, /[0-9a-f]/, length);
    if (text.length === length) yield { text: fold(String.fromCharCode(Number.parseInt(text, 16))), end };
  }

  *#entity(place: number): Generator<CharacterReading> {
    const number = this.#one(place, /#/);
    if (number !== undefined) {
      const hex = this.#one(number.end, /x/);
      const digits = this.#run(hex?.end ?? number.end, hex ? /[0-9a-f]/ : /[0-9]/, maxDigits);
      const code = Number.parseInt(digits.text, hex ? 16 : 10);
      if (code <= 0x10ffff)
        yield { text: fold(String.fromCodePoint(code)), end: this.#afterSemicolon(digits.end) };
      return;
    }
    const letters = this.at(place).map(({ text }) => text);
    for (const [name, text] of entities) {
      const end = letters.includes(name.charAt(0)) ? this.endOf(name, place) : undefined;
      if (end !== undefined) yield { text, end: this.#afterSemicolon(end) };
    }
  }

  /** Browsers do without it. */
  #afterSemicolon(place: number): number {
    return this.#one(place, /;/)?.end ?? place;
  }

  #run(place: number, wanted: RegExp, maxLength: number): CharacterReading {
    let text = "";
    let end = place;
    while (text.length < maxLength) {
      const next = this.#one(end, wanted);
      if (next === undefined) break;
      text += next.text;
      end = next.end;
    }
    return { text, end };
  }

  /** The shortest: a longer one was made of what stands behind it. */
  #one(place: number, wanted: RegExp): CharacterReading | undefined {
    let found: CharacterReading | undefined;
    for (const reading of this.at(place))
      if (wanted.test(reading.text) && reading.end < (found?.end ?? Number.POSITIVE_INFINITY))
        found = reading;
    return found;
  }
}

/** In small letters of ASCII; the text keeps its length. */
export function fold(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
