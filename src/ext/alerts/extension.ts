import type { Extension } from "../../cli/shell/shell.js";
import { notifyCommand } from "./notify.js";

/** Webhooks and commands that are called when a user must act, and `nexusd notify`. */
export const alerts: Extension = {
  name: "alerts",
  commands: [
    {
      group: "Look after connections",
      name: "notify",
      summary: "test who is notified when a user must act",
      examples: { test: "webhook" },
      make: notifyCommand,
    },
  ],
  open: async (core) => {
    const { notify, upstream } = core.options.config;
    // A spoke asks its hub to test the receivers of the hub.
    const isOn = [notify.webhook, notify.command, notify.file, upstream].some((each) => each !== undefined);
    if (!isOn) return undefined;
    const { openAlerts } = await import("./open_alerts.js");
    return openAlerts(core);
  },
};
