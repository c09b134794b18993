import { stripVTControlCharacters } from "node:util";
import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import { PinoPretty } from "pino-pretty";
import type { Log } from "../runtime/log.js";
import { redactFields } from "./redact.js";

export interface LoggerOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error";
  /** `json`: an object a line, for machines. `pretty`: for a person. */
  readonly format: "json" | "pretty";
  /** Whether a person's terminal shows the lines; only then are they coloured, and each field has a line of its own where one line is too short. */
  readonly isTTY: boolean;
  /** How wide that terminal is. */
  readonly columns?: number | undefined;
  /** Takes each line, its end included. Default: standard output, written synchronously so that the last lines before an end arrive. */
  readonly write?: (line: string) => void;
  /** Fields that every line gets as it is written, such as the trace it belongs to. */
  readonly context?: () => object;
}

export function createLogger(options: LoggerOptions): Log {
  const { write, context } = options;
  const sink: DestinationStream = write ? { write } : destination({ dest: 1, sync: true });
  const stream = options.format === "json" ? sink : prettyStream(sink, options);
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      serializers: { err: (value: unknown) => value },
      messageKey: "message",
      ...(context && { mixin: context }),
    },
    stream,
  );
}

function prettyStream(sink: DestinationStream, { isTTY, columns = 80 }: LoggerOptions): DestinationStream {
  const form = { colorize: isTTY, messageKey: "message", translateTime: "SYS:HH:MM:ss.l" };
  const onOneLine = PinoPretty.prettyFactory({ ...form, singleLine: true });
  if (!isTTY) return { write: (line) => sink.write(onOneLine(line)) };
  const withoutFields = PinoPretty.prettyFactory({ ...form, hideObject: true });
  return {
    write: (line) => {
      const short = onOneLine(line);
      const fits = stripVTControlCharacters(short).trimEnd().length <= columns;
      sink.write(fits ? short : `${withoutFields(line)}${fieldLines(line, columns)}`);
    },
  };
}

/** On a narrower terminal the words of a field are not broken into lines of their own. */
const narrowest = 30;

/** The fields of a line, one below the other. Control characters in them stay escaped, as in JSON. */
function fieldLines(line: string, columns: number): string {
  const { level: _, time: __, message: ___, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const width = Math.max(0, ...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => {
      const lines = wordLines(fieldText(value), Math.max(narrowest, columns - width - 6));
      return `    ${name.padEnd(width)}  ${lines.join(`\n${" ".repeat(width + 6)}`)}\n`;
    })
    .join("");
}

/** Broken between words; a longer word stays whole, to be copied. */
function wordLines(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function fieldText(value: unknown): string {
  if (Array.isArray(value) && value.every((item) => typeof item === "string"))
    return value.length === 0 ? "none" : value.map(fieldText).join(", ");
  const text = JSON.stringify(value);
  return typeof value === "string" ? text.slice(1, -1).replaceAll('\\"', '"') : text;
}
