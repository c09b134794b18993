import { basename, delimiter, dirname, relative } from "node:path";

/** How this process was started. */
export interface Start {
  readonly env: NodeJS.ProcessEnv;
  /** Of the script that Node runs. */
  readonly script: string;
  readonly folder: string;
}

/** What a person types before a command, so that a hint can be pasted: `nexusd`, `npx nexusd`, `node dist/main.js`. */
export function programName({ env, script: started, folder }: Start): string {
  // What starts the script by another file names that one.
  const script = env["NEXUSD_PROGRAM"] ?? started;
  const name = basename(script);
  // A script of package.json, as `npm start`, runs one command: the others run outside of it, where npx alone would fetch a stranger's package.
  const { npm_command: npmCommand } = env;
  if (npmCommand !== undefined) return npmCommand === "exec" ? "npx nexusd" : "npx --no-install nexusd";
  const isOnPath = (env["PATH"] ?? "").split(delimiter).includes(dirname(script));
  if (name === "nexusd" && isOnPath) return name;
  const path = relative(folder, script);
  if (name === "nexusd") return path.startsWith("..") ? script : `./${path}`;
  return `node ${path.startsWith("..") ? script : path}`;
}

/** `text` with every `nexusd COMMAND` (or `--help`, or `[options]`) as the person has to type it. */
export function asTyped(text: string, program: string, commands: readonly string[]): string {
  return text.replace(
    new RegExp(`\\bnexusd(?= (?:(?:${commands.join("|")})\\b|--help|\\[options\\]))`, "g"),
    () => program,
  );
}
