import { createHash } from "node:crypto";
import type { Core } from "../../core/core.js";
import type { Extension, Registry } from "../../core/registry.js";
import type { ConsoleListener } from "./console_listener.js";
import { consoleSettings } from "./console_settings.js";
import { openCommand } from "./open_command.js";

const auditEvents = [
  "console.link_created",
  "console.session_opened",
  "console.session_ended",
  "console.sign_in_refused",
] as const;

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents extends Record<(typeof auditEvents)[number], true> {}
}

/** Rows of each list of the page `/status`. */
const statusEntries = 20;

/** Pages for people: `nexusd open` and what it leads to, and `/status`. */
export const webConsole: Extension = {
  name: "console",
  auditEvents,
  settings: consoleSettings,
  commands: [
    {
      group: "Get started",
      name: "open",
      summary: "open the console in a browser",
      examples: "--print",
      make: openCommand,
    },
  ],
  open: opened,
};

/** Loaded when it is first asked for. */
function statusOf({ operations }: Core, origin: () => string | undefined) {
  return async (query: URLSearchParams) => {
    const { statusPage } = await import("./status/status_page.js");
    const options = { reloads: query.get("refresh") !== "off", console: origin() };
    return statusPage(operations.status.read(statusEntries), options);
  };
}

async function opened(core: Core, registry: Registry): Promise<void> {
  const { config, environment, store, changes, clock } = core;
  const { consoleService } = await import("./sessions/console_service.js");
  const { ConsoleSessions } = await import("./sessions/console_sessions.js");
  const { approvalsPath } = await import("./sessions/console_url.js");
  const { control: access } = core.access;
  const sessions = new ConsoleSessions({ store, changes, clock });
  let opened: readonly ConsoleListener[] = [];
  const origin = () => opened.map(({ url }) => url).find((url) => url !== undefined);
  registry.approvalPage((link) => {
    const url = origin();
    return url === undefined ? undefined : `${url}${approvalsPath}/${link}`;
  });
  registry.rpc(consoleService({ sessions, origin }));
  registry.page("/status", statusOf(core, origin));
  const { listen: addresses, url } = consoleSettings.of(config);
  if (addresses.length === 0) return;
  const { ConsoleListener: Listener } = await import("./console_listener.js");
  const { consoleSignIn } = await import("./issuer_sign_in.js");
  const { settingsOf } = await import("./pages/settings.js");
  const mayOpen = (name: string) => access.permissionsOf(name).permissionFor("console.open") !== "denied";
  registry.listener(({ servicesAt, describe }) => ({
    name: "console",
    make: (place) => {
      const signIn = registry.registeredSignIn();
      const shared = {
        ...place,
        url,
        sessions,
        signIn: signIn && consoleSignIn({ signIn, url, sessions, mayOpen, audit: core.access.deniedAccess }),
        settings: () => settingsOf(core.settings, environment),
        permissionsOf: (name: string) => access.permissionsOf(name),
        clock,
        services: servicesAt("console"),
        describe,
        usualPort: portOf(config.dataDir),
      };
      opened = addresses.map((listen) => new Listener({ ...shared, listen }));
      return opened;
    },
  }));
}

/** Of each data folder one of its own, below those that systems give to clients. */
function portOf(dataDir: string): number {
  return 20_000 + (createHash("sha256").update(dataDir).digest().readUInt16BE() % 10_000);
}
