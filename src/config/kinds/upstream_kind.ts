import { isLoopbackHost } from "../../model/providers/provider_profile.js";
import type { Kind } from "./setting_kinds.js";

/** Of one spoke: those of a fleet. */
const maxUrls = 16;

/** Origins of hubs. */
export const upstreamUrls: Kind<readonly string[]> = {
  argument: "urls",
  parse: (value, note) => {
    const items = value.split(",").map((item) => item.trim());
    if (items.length > maxUrls) note(`must name at most ${maxUrls} hubs`);
    return Object.freeze([
      ...new Set(
        items.flatMap((item) => {
          const violation = violationOf(item);
          if (violation === undefined) return [new URL(item).origin];
          note(violation, item);
          return [];
        }),
      ),
    ]);
  },
};

function violationOf(text: string): string | undefined {
  const limit = "must be https://host:port without a path (http on loopback)";
  if (!URL.canParse(text)) return limit;
  const { protocol, hostname, username, password, pathname, search, hash } = new URL(text);
  if (username !== "" || password !== "") return "must not hold a user name or password";
  const isBare = pathname === "/" && search === "" && hash === "";
  const isSafe = protocol === "https:" || (protocol === "http:" && isLoopbackHost(hostname));
  return isBare && isSafe ? undefined : limit;
}
