import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesOf } from "./security/canaries.js";

/** Secrets of the harness, recognizable wherever they appear, and what no log may hold. No form is one that chance makes. */
const secrets: Readonly<Record<string, RegExp>> = {
  "an access token": /access-\d+-secret/,
  "a refresh token": /refresh-\d+-secret/,
  "an authorization code": /code-\d+-secret/,
  "a client secret": /the-client-secret|s3cret:\/\+/,
  "an API key": /nxk_[0-9a-f]{16}_[\w-]{43}/,
  "a JWT": /eyJ[\w-]{10,}\.eyJ[\w-]{10,}/,
  "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  "a state": /[?&](state|code|completion_code)=[\w-]{16,}/,
};

/** Files that hold a secret in clear because that is what they are for. No other file of the folder may hold it. */
const keyFiles = /^(admin|encryption)[^/]*\.key$/;

/**
 * Secrets in clear in what daemons logged and in the data folders that are still there.
 * @param left what `run_folder.ts` wrote
 * @returns what was found, and where; never the secret
 */
export function sweep(left: string): string[] {
  const found: string[] = [];
  for (const name of readdirSync(left)) {
    const lines = readFileSync(join(left, name), "latin1").split("\n");
    if (name.endsWith(".log")) {
      for (const [index, line] of lines.entries()) {
        found.push(...kindsIn(line).map((kind) => `${kind} in log ${name}:${index + 1}: ${messageOf(line)}`));
      }
    }
    if (name.endsWith(".folders")) found.push(...lines.filter(existsSync).flatMap(inFolder));
  }
  return [...new Set(found)];
}

function kindsIn(text: string): string[] {
  return Object.entries(secrets).flatMap(([kind, pattern]) => (pattern.test(text) ? [kind] : []));
}

function inFolder(dataDir: string): string[] {
  const files = [...filesOf(dataDir)].map(([name, bytes]) => ({ name, text: bytes.toString("latin1") }));
  const keys = files.filter(({ name }) => keyFiles.test(name)).map(({ text }) => text.trim());
  return files
    .filter(({ name }) => !keyFiles.test(name))
    .flatMap(({ name, text }) => {
      const kinds = kindsIn(text);
      if (keys.some((key) => key !== "" && text.includes(key))) kinds.push("a key of a file");
      return kinds.map((kind) => `${kind} in ${join(dataDir, name)}`);
    });
}

/** The constant part of a line of the log. */
function messageOf(line: string): string {
  return /"message":"([^"]{0,80})/.exec(line)?.[1] ?? "";
}
