import { parseArgs } from "node:util";

export const help = `npm run demo -- [--static | --fleet] [--auto] [--json] [--verbose]

Shows the main job of nexusd in about a minute, without any account: a person consents once, and from then on
the agent's token is refreshed by itself, until the consent is taken back.

  --static   the same for a key that does not expire: captured, handed out, replaced by hand
  --fleet    three daemons with one store: their leader is killed, their PostgreSQL too, and tokens go on; in two minutes
  --auto     no person is needed: the demo signs in and consents over HTTP
  --json     one JSON object a line on standard output, for scripts
  --verbose  the daemon's log on standard error
  --help     this text

Exit codes: 0 when three revisions of the token and the state "attention" were seen
(with --static: two revisions; with --fleet: no token was ever missing and no grant was lost), 1 when not, 2 for wrong arguments, 130 when interrupted.
`;

export interface Arguments {
  readonly static: boolean;
  readonly fleet: boolean;
  readonly auto: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly help: boolean;
}

const flag = { type: "boolean", default: false } as const;

/** @throws TypeError for an argument that does not exist, or that does not go with another */
export function readArguments(words: readonly string[]): Arguments {
  const options = { static: flag, fleet: flag, auto: flag, json: flag, verbose: flag, help: flag };
  const { values } = parseArgs({ args: [...words], options, strict: true, allowPositionals: false });
  if (values.static && values.fleet)
    throw new TypeError("--static and --fleet are two demos: name one of them");
  return values;
}
