import type { Extension } from "../../core/registry.js";
import { notifyCommand } from "./notify.js";
import { notifySettings } from "./notify_settings.js";
import { alertTables } from "./outbox/tables.js";

/** Webhooks and commands that are called when a user must act, and `nexusd notify`. */
export const alerts: Extension = {
  name: "alerts",
  settings: notifySettings,
  tables: alertTables,
  commands: [
    {
      group: "Look after connections",
      name: "notify",
      summary: "test who is notified when a user must act",
      examples: { test: "webhook" },
      make: notifyCommand,
    },
  ],
  open: async (core, registry) => {
    const { config, metrics, store } = core;
    const onOutcome = metrics.addOutcomes(
      "nexus_notifications_total",
      "Attempts to notify a receiver, by outcome: taken, failed (retried), given_up.",
      ["taken", "failed", "given_up"],
    );
    const { outboxIn } = await import("./outbox/notification_queue.js");
    metrics.addGauge(
      "nexus_notifications_waiting",
      "Notifications that receivers have not taken yet.",
      () => outboxIn(store).count,
    );
    const { webhook, command, file } = notifySettings.of(config);
    // A spoke asks its hub to test the receivers of the hub.
    if (!webhook && !command && !file && config.store !== "copy") return;
    const { openAlerts } = await import("./open_alerts.js");
    openAlerts(core, registry, onOutcome);
  },
};
