import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesOf } from "./security/canaries.js";

/** Secrets of the harness, recognisable whoever prints them, and what no log may hold whoever made it. */
const secrets: Readonly<Record<string, RegExp>> = {
  "an access token": /access-\d+-secret/,
  "a refresh token": /refresh-\d+-secret/,
  "an authorization code": /code-\d+-secret/,
  "a client secret": /the-client-secret|s3cret:\/\+/,
  "an API key": /nx[a-z]*_[A-Za-z0-9_-]{40,}/,
  "a JWT": /eyJ[\w-]{10,}\.eyJ[\w-]{10,}/,
  "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  "a state": /[?&](state|code|completion_code)=[\w-]{16,}/,
};

/** Files that hold a secret in clear because that is what they are for. */
const keyFiles = /^(admin|encryption)[^/]*\.key$/;

/**
 * Secrets in clear in what daemons logged and in the data folders that are still there.
 * @param left what `run_folder.ts` wrote
 * @returns what was found, and where; never the secret
 */
export function sweep(left: string): string[] {
  const places = new Map<string, string>();
  for (const name of readdirSync(left)) {
    const lines = readFileSync(join(left, name), "latin1").split("\n");
    if (name.endsWith(".log")) {
      for (const [index, line] of lines.entries()) places.set(`log ${name}:${index + 1}`, line);
    }
    if (name.endsWith(".folders")) for (const dataDir of lines.filter(existsSync)) addFiles(places, dataDir);
  }
  return [...places].flatMap(([place, text]) =>
    Object.entries(secrets).flatMap(([kind, pattern]) =>
      pattern.test(text) ? [`${kind} in ${place}: ${messageOf(text)}`] : [],
    ),
  );
}

function addFiles(places: Map<string, string>, dataDir: string): void {
  for (const [name, bytes] of filesOf(dataDir)) {
    if (!keyFiles.test(name)) places.set(join(dataDir, name), bytes.toString("latin1"));
  }
}

/** The constant part of a line of the log. */
function messageOf(line: string): string {
  return /"message":"([^"]{0,80})/.exec(line)?.[1] ?? "";
}
