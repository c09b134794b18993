import { createHash } from "node:crypto";
import type { Extension } from "../../cli/kit.js";
import type { Core, RunningExtension } from "../../daemon/extension.js";
import type { ConsoleListener } from "./console_listener.js";
import { consoleSettings } from "./console_settings.js";
import { openCommand } from "./open_command.js";

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents {
    "console.link_created": true;
    "console.session_opened": true;
    "console.session_ended": true;
  }
}

/** Rows of each list of the page `/status`. */
const statusEntries = 20;

/** Pages for people: `nexusd open` and what it leads to, and `/status`. */
export const webConsole: Extension = {
  name: "console",
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
function statusOf({ domain }: Core, origin: () => string | undefined) {
  return async (query: URLSearchParams) => {
    const { statusPage } = await import("./status/status_page.js");
    const options = { reloads: query.get("refresh") !== "off", console: origin() };
    return statusPage(domain.status.read(statusEntries), options);
  };
}

async function opened(core: Core): Promise<RunningExtension> {
  const { options, resources, domain, environment } = core;
  const { config, clock } = options;
  const { consoleService } = await import("./sessions/console_service.js");
  const { ConsoleSessions } = await import("./sessions/console_sessions.js");
  const { approvalsPath } = await import("./sessions/console_url.js");
  const { access, changes } = domain;
  const sessions = new ConsoleSessions({ store: resources.store, changes, clock });
  let opened: readonly ConsoleListener[] = [];
  const origin = () => opened.map(({ url }) => url).find((url) => url !== undefined);
  const approvalUrl = (link: string) => {
    const url = origin();
    return url === undefined ? undefined : `${url}${approvalsPath}/${link}`;
  };
  const common = {
    approvalUrl,
    services: [consoleService({ sessions, origin })],
    opsPages: { "/status": statusOf(core, origin) },
  };
  const { listen: addresses, url } = consoleSettings.of(config);
  if (addresses.length === 0) return common;
  const { ConsoleListener: Listener } = await import("./console_listener.js");
  const { settingsOf } = await import("./pages/settings.js");
  return {
    ...common,
    listeners: ({ servicesAt, describe }) => ({
      name: "console",
      make: (place) => {
        const permissionsOf = (name: string) => access.permissionsOf(name);
        const own = {
          url,
          sessions,
          settings: () => settingsOf(core.settings, environment),
          permissionsOf,
          clock,
        };
        const shared = {
          ...place,
          ...own,
          services: servicesAt("console"),
          describe,
          usualPort: portOf(config.dataDir),
        };
        opened = addresses.map((listen) => new Listener({ ...shared, listen }));
        return opened;
      },
    }),
  };
}

/** Of each data folder one of its own, below those that systems give to clients. */
function portOf(dataDir: string): number {
  return 20_000 + (createHash("sha256").update(dataDir).digest().readUInt16BE() % 10_000);
}
