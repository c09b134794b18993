import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import { PinoPretty } from "pino-pretty";
import type { Log } from "../runtime/log.js";
import { redactFields } from "./redact.js";

export interface LoggerOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error";
  /** `json`: an object a line, for machines. `pretty`: for a person. */
  readonly format: "json" | "pretty";
  /** Whether a person's terminal shows the lines; only then are they coloured. */
  readonly isTTY: boolean;
  /** Takes each line, its end included. Default: standard output, written synchronously so that the last lines before an end arrive. */
  readonly write?: (line: string) => void;
  /** Fields that every line gets as it is written, such as the trace it belongs to. */
  readonly context?: () => object;
}

export function createLogger(options: LoggerOptions): Log {
  const { write, context } = options;
  const sink: DestinationStream = write ? { write } : destination({ dest: 1, sync: true });
  const stream = options.format === "json" ? sink : prettyStream(sink, options.isTTY);
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

function prettyStream(sink: DestinationStream, isTTY: boolean): DestinationStream {
  const prettify = PinoPretty.prettyFactory({
    colorize: isTTY,
    messageKey: "message",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return { write: (line) => sink.write(prettify(line)) };
}
