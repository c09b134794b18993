import { readFileSync } from "node:fs";

const maxSecrets = 8;

/**
 * The secrets of a webhook: a line each, `whsec_` and 24 to 64 bytes in base64, as Standard Webhooks writes them. Messages are signed with
 * all of them, so that a receiver can change from one to the next.
 *
 * @returns undefined when the file cannot be read, or a line is no such secret
 */
export function readWebhookSecrets(path: string): Buffer[] | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const lines = text.split("\n").flatMap((line) => line.trim() || []);
  if (lines.length === 0 || lines.length > maxSecrets) return undefined;
  const secrets = lines.map((line) => {
    const [, base64 = ""] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? [];
    return Buffer.from(base64, "base64");
  });
  return secrets.every(({ length }) => length >= 24 && length <= 64) ? secrets : undefined;
}
