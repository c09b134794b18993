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
  open: async (core) => {
    const isOpen = core.options.config.consoleListen.length > 0;
    return { ...(isOpen ? await opened(core) : await closed()), opsPages: { "/status": statusOf(core) } };
  },
};

/** Loaded when it is first asked for. */
function statusOf({ domain }: Core) {
  return async (query: URLSearchParams) => {
    const { statusPage } = await import("./status/status_page.js");
    return statusPage(domain.status.read(statusEntries), { reloads: query.get("refresh") !== "off" });
  };
}

async function opened({ options, resources, domain, environment }: Core): Promise<RunningExtension> {
  const [{ ConsoleListener }, { settingsOf }, { ConsoleSessions }, { consoleService }] = await Promise.all([
    import("./console_listener.js"),
    import("./shown_settings.js"),
    import("./sessions/console_sessions.js"),
    import("./sessions/console_service.js"),
  ]);
  const { config, clock } = options;
  const shownSettings = () => settingsOf(environment);
  const { access, changes } = domain;
  const sessions = new ConsoleSessions({ store: resources.store, changes, clock });
  let listeners: readonly InstanceType<typeof ConsoleListener>[] = [];
  const origin = () => listeners.map(({ url }) => url).find((url) => url !== undefined);
  return {
    services: [consoleService({ sessions, origin })],
    listeners: (ground) => ({
      name: "console",
      make: (place) => {
        const permissionsOf = (name: string) => access.permissionsOf(name);
        const own = { url: config.consoleUrl, sessions, settings: shownSettings, permissionsOf, clock };
        listeners = config.consoleListen.map(
          (listen) => new ConsoleListener({ ...ground, ...place, ...own, listen }),
        );
        return listeners;
      },
    }),
  };
}

async function closed(): Promise<RunningExtension> {
  const { consoleService } = await import("./sessions/console_service.js");
  return { services: [consoleService({ sessions: undefined, origin: () => undefined })] };
}
