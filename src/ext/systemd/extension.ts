import type { Extension } from "../../core/registry.js";

/** Reports to systemd, or what speaks its protocol, that the daemon is ready, alive, and ending. */
export const systemd: Extension = {
  name: "systemd",
  openServiceManager: async (environment, parts) => {
    if (!environment["NOTIFY_SOCKET"]) return undefined;
    const { openServiceManager } = await import("./service_manager.js");
    return await openServiceManager(environment, parts);
  },
};
