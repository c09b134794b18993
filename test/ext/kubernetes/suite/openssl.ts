import { execFileSync } from "node:child_process";

export function openssl(...args: readonly string[]): string {
  return execFileSync("openssl", args, { encoding: "utf8", input: "", stdio: "pipe" });
}
