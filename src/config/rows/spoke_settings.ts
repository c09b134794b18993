import { isLoopbackHost } from "../../model/providers/provider_profile.js";
import { webhookUrl } from "../kinds/address_kinds.js";
import { keyCommand } from "../kinds/key_kinds.js";
import { age, type Kind, path, type SettingGroups, toggle } from "../kinds/setting_kinds.js";

/** Of one spoke: those of a fleet. */
const maxUrls = 16;

/** Origins of hubs. */
const upstreamUrls: Kind<readonly string[]> = {
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

/** A daemon that holds a copy of what another one gives it. */
export const spokeSettings = {
  Spoke: {
    NEXUS_UPSTREAM: {
      kind: upstreamUrls,
      unset: "the daemon has connections of its own",
      meaning:
        "The hubs of this spoke: https URLs of call listeners (http on loopback), separated by commas, of one daemon or one fleet. The daemon then has no connections of its own. It serves a copy of what its identity may see there, and forwards everything else to a hub. See docs/fleet.md.",
    },
    NEXUS_UPSTREAM_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning: "PEM: the CAs that verify the hubs' certificates. Read again for each new connection.",
    },
    NEXUS_UPSTREAM_CERT_FILE: {
      kind: path("file"),
      meaning:
        "PEM: the certificate that identifies this spoke. Read again for each new connection, as is its key.",
    },
    NEXUS_UPSTREAM_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: the private key of that certificate.",
    },
    NEXUS_UPSTREAM_TOKEN_FILE: {
      kind: path("file"),
      meaning:
        "A file with the JWT or API key that identifies this spoke, such as a projected service-account token. Read again for each call.",
    },
  },
} as const satisfies SettingGroups;

/** Who is notified when a person is needed. */
export const notifySettings = {
  Notifications: {
    NEXUS_NOTIFY_URL: {
      kind: webhookUrl,
      meaning:
        "A webhook to call when a connection needs a user, as described by Standard Webhooks. The address rules for providers apply. Needs NEXUS_NOTIFY_SECRETS_FILE.",
    },
    NEXUS_NOTIFY_SECRETS_FILE: {
      kind: path("file"),
      meaning:
        "Secrets that sign messages to NEXUS_NOTIFY_URL, one per line: whsec_ and 24 to 64 bytes in base64. Read for each message.",
    },
    NEXUS_NOTIFY_COMMAND: {
      kind: keyCommand,
      meaning:
        "A command to run for each event, without a shell, with the JSON on its standard input. Exit code 0 means success. It inherits no NEXUS_ variable, and none that NEXUS_PROVIDERS_FILE names.",
    },
    NEXUS_NOTIFY_FILE: {
      kind: path("file"),
      meaning: "More receivers, YAML or JSON, each with its events. Read at start.",
    },
    NEXUS_NOTIFY_BEFORE_END: {
      kind: age,
      default: "7d",
      meaning:
        "How long before a consent expires to send connection.expiring; at most a fifth of its lifetime.",
    },
    NEXUS_NOTIFY_LINKS: {
      kind: toggle,
      default: "true",
      meaning:
        "Whether events contain a consent link. The user who opens the link decides whose account the agent uses. No effect with NEXUS_REQUIRE_CONFIRMATION.",
    },
  },
} as const satisfies SettingGroups;
