import { createHash } from "node:crypto";
import type { Extension } from "../../cli/shell/shell.js";
import type { Core, RunningExtension } from "../../daemon/extension.js";
import { openCommand } from "./open_command.js";

/** Rows of each list of the page `/status`. */
const statusEntries = 20;

/** Pages for people: `nexusd open` and what it leads to, and `/status`. */
export const webConsole: Extension = {
  name: "console",
  commands: [
    {
      group: "Get started",
      name: "open",
      summary: "open the console in a browser",
      examples: "--print",
      make: openCommand,
    },
  ],
  open: async (core) =>
    core.options.config.consoleListen.length > 0 ? await opened(core) : await closed(core),
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
  const [{ ConsoleListener }, { settingsOf }, { ConsoleSessions }, { consoleService }, { approvalsPath }] =
    await Promise.all([
      import("./console_listener.js"),
      import("./shown_settings.js"),
      import("./sessions/console_sessions.js"),
      import("./sessions/console_service.js"),
      import("./sessions/console_url.js"),
    ]);
  const { config, clock } = options;
  const shownSettings = () => settingsOf(environment);
  const { access, changes, rules } = domain;
  const sessions = new ConsoleSessions({ store: resources.store, changes, clock });
  let listeners: readonly InstanceType<typeof ConsoleListener>[] = [];
  const origin = () => listeners.map(({ url }) => url).find((url) => url !== undefined);
  rules.approvalUrl = (link) => {
    const url = origin();
    return url === undefined ? undefined : `${url}${approvalsPath}/${link}`;
  };
  return {
    services: [consoleService({ sessions, origin })],
    opsPages: { "/status": statusOf(core, origin) },
    listeners: ({ servicesAt, describe }) => ({
      name: "console",
      make: (place) => {
        const permissionsOf = (name: string) => access.permissionsOf(name);
        const services = servicesAt("console");
        const own = { url: config.consoleUrl, sessions, settings: shownSettings, permissionsOf, clock };
        const usualPort = portOf(config.dataDir);
        listeners = config.consoleListen.map(
          (listen) => new ConsoleListener({ ...place, ...own, services, describe, usualPort, listen }),
        );
        return listeners;
      },
    }),
  };
}

/** Of each data folder one of its own, below those that systems give to clients. */
function portOf(dataDir: string): number {
  return 20_000 + (createHash("sha256").update(dataDir).digest().readUInt16BE() % 10_000);
}

async function closed(core: Core): Promise<RunningExtension> {
  const { consoleService } = await import("./sessions/console_service.js");
  const origin = () => undefined;
  const opsPages = { "/status": statusOf(core, origin) };
  return { services: [consoleService({ sessions: undefined, origin })], opsPages };
}
