/** What a reader can make of a text by decoding it, up to four times; in lower case. */
export function decodings(text: string): string[] {
  const found = new Set([text]);
  for (let round = 0; round < 4; round++) {
    for (const one of [...found]) for (const decode of decoders) found.add(decode(one));
  }
  const words = text.match(/[\w+/-]{4,}/g) ?? [];
  for (const word of words)
    for (let start = 0; start < 4; start++) found.add(Buffer.from(word.slice(start), "base64").toString());
  return [...found].map((one) => one.toLowerCase());
}

const names: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const short: Record<string, string> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

const decoders: readonly ((text: string) => string)[] = [
  (text) =>
    text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString()),
  (text) => text.replaceAll("+", " "),
  (text) =>
    text.replace(/\\(?:u([0-9a-f]{4})|(.))/gis, (_, digits?: string, letter = "") =>
      digits === undefined ? (short[letter] ?? letter) : String.fromCharCode(Number.parseInt(digits, 16)),
    ),
  (text) =>
    text.replace(/&(?:#(\d{1,6})|#x([0-9a-f]{1,5})|(\w+));/gi, (whole, decimal, digits, name) => {
      if (name !== undefined) return names[name] ?? whole;
      return String.fromCodePoint(Math.min(0x10ffff, Number.parseInt(decimal ?? digits, decimal ? 10 : 16)));
    }),
  // As a header carries it.
  (text) => Buffer.from(text, "latin1").toString(),
];
