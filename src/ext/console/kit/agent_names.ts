import { keyPrincipalName } from "../../../model/access/access.js";

const keyPrefix = keyPrincipalName("");

/** `claude` for `key:claude`: what people call it. */
export function agentText(name: string): string {
  return isOfKeys(name) ? name.slice(keyPrefix.length) : name;
}

export function isOfKeys(name: string): boolean {
  return name.startsWith(keyPrefix);
}

export function agentPath(name: string, after = ""): string {
  return `/agents/${encodeURIComponent(name).replaceAll("%3A", ":")}${after}`;
}
