import { isLoopbackHost } from "../providers/provider_profile.js";

/**
 * The canonical URI of an MCP server: scheme and host in lower case, no default port, no fragment, no slash after a bare host. Undefined for
 * what is no URL, has a user name, or is neither https nor http to this machine.
 */
export function canonicalMcpServerUrl(text: string): string | undefined {
  const trimmed = text.trim();
  // A parser would drop some of these and take others for what they are not.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f\\#]/.test(trimmed) || !/^https?:\/\//i.test(trimmed)) return undefined;
  if (trimmed.length > 2_048 || !URL.canParse(trimmed)) return undefined;
  const url = new URL(trimmed);
  if (url.username !== "" || url.password !== "") return undefined;
  if (url.protocol !== "https:" && !isLoopbackHost(url.hostname)) return undefined;
  return url.pathname === "/" && url.search === "" ? url.origin : url.href;
}
