import { Secret } from "../runtime/secret.js";

const redacted = "[redacted]";

/** How deep a value is followed; what lies below is cut. */
const maxDepth = 6;

/** Names of fields that hold secrets, without case, `_` and `-`. */
const secretNames = new Set([
  "accesstoken",
  "adminkey",
  "apikey",
  "authorization",
  "browserbinding",
  "clientassertion",
  "clientsecret",
  "code",
  "codeverifier",
  "cookie",
  "credential",
  "credentials",
  "encryptionkey",
  "idtoken",
  "key",
  "nonce",
  "password",
  "proxyauthorization",
  "refreshtoken",
  "secret",
  "setcookie",
  "state",
  "token",
  "tokenset",
  "xapikey",
]);

const word = /^(?=.{1,40}$)(E[A-Z0-9_]+|[a-z]+(_[a-z]+)*)$/;

const inText: readonly [RegExp, string][] = [
  [/\b(Bearer|Basic|DPoP)\s+[A-Za-z0-9\-._~+/]{8,}=*/gi, `$1 ${redacted}`],
  [
    /\b((?:access|refresh|id)_token|client_secret|client_assertion|code|code_verifier|state|nonce|password)=[^&\s"'#]+/gi,
    `$1=${redacted}`,
  ],
  [/\bnxk_[A-Za-z0-9_-]{20,}/g, redacted],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, redacted],
];

/**
 * The second line of defence: callers do not log secrets, and a text that looks like one is replaced. Errors are
 * reduced to name, message, code and stack along their causes, since those of HTTP and OAuth libraries carry responses.
 */
export function redactFields(fields: object): Record<string, unknown> {
  return redactMembers(fields, 0);
}

/** Replaces what looks like a secret inside a text. */
export function redactText(text: string): string {
  return inText.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}

function redactMembers(value: object, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const canonical = name.toLowerCase().replace(/[_-]/g, "");
    const isSecret = secretNames.has(canonical) && !isHarmless(canonical, member);
    result[name] = isSecret ? redacted : redactValue(member, depth + 1);
  }
  return result;
}

/** A number or a flag under a secret's name is no secret, nor is a word as `code` or `state`: `not_found`, `ENOENT`, `active`. */
function isHarmless(canonicalName: string, value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value === "number" || typeof value === "boolean") return true;
  const canBeWord = canonicalName === "code" || canonicalName === "state";
  return canBeWord && typeof value === "string" && word.test(value);
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Secret) return redacted;
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value;
  if (depth > maxDepth) return "[cut]";
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof URL) return redactText(value.href);
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  if (value instanceof Map || value instanceof Set) return `[${value.size} entries]`;
  return redactMembers(value, depth);
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    message: redactText(error.message),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause instanceof Error ? { cause: redactValue(error.cause, depth + 1) } : {}),
  };
}
