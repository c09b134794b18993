import { create } from "@bufbuild/protobuf";
import type { Core } from "../../core/core.js";
import { type Registry, tellOfOpenSecret } from "../../core/registry.js";
import { withoutVariablesOf } from "../../document/document.js";
import { NotificationService, TestReceiversResponseSchema } from "../../gen/nexus/v1/notification_pb.js";
import { NotFound } from "../../model/model.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";
import { ApprovalNotices } from "./approval_notices.js";
import { ConsentLinks } from "./consent_links.js";
import { NotificationOutbox } from "./notification_outbox.js";
import { Notifier } from "./notifier.js";
import { notifySettings } from "./notify_settings.js";
import type { Receiver } from "./receiver.js";
import { openReceivers } from "./receivers.js";
import type { ReceiverSpec } from "./receivers_document.js";

/** @throws ReceiversError */
export function openAlerts(
  core: Core,
  registry: Registry,
  onOutcome: (outcome: "taken" | "failed" | "given_up") => void,
): void {
  const { config, store, changes, clock, random, log } = core;
  const { requests } = core.consents;
  const { consent, publicUrl } = config;
  const notify = notifySettings.of(config);
  const receivers = receiversOf(core);
  const parts = { store, changes, clock, random, log, receivers: () => receivers };
  const outbox = new NotificationOutbox({ ...parts, expiryLeadMs: notify.beforeEndMs });
  if (receivers.length > 0) store.observe(outbox);
  const links = new ConsentLinks({ store, requests, publicUrl, clock, log });
  const notifier = new Notifier({
    ...{ ...parts, outbox },
    // Without a return URL nobody could confirm what a link brings.
    links: notify.links && !consent.requireConfirmation ? links : undefined,
    onOutcome,
  });
  new ApprovalNotices({
    ...{ ...parts, hasLinks: notify.links },
    onOutcome,
  });
  registry.rpc(notificationService({ notifier }));
  registry.links((code) => links.follow(code));
  registry.part(notifier);
}

/** @throws ReceiversError */
function receiversOf({ config, environment, outbound, clock, log }: Core): Receiver[] {
  const { webhook, command, file } = notifySettings.of(config);
  // It names commands that run, and URLs that may hold a secret.
  if (file !== undefined) tellOfOpenSecret("NEXUS_NOTIFY_FILE", "receivers", file, log);
  const specs: ReceiverSpec[] = [
    ...(webhook ? [{ name: "webhook", target: { kind: "webhook", ...webhook }, types: [] } as const] : []),
    ...(command ? [{ name: "command", target: { kind: "command", argv: command }, types: [] } as const] : []),
  ];
  // What the daemon knows by its settings is not for a command.
  const given = withoutVariablesOf(config.providersFile, environment);
  const others = Object.entries(given).filter(([name]) => !name.startsWith("NEXUS_"));
  return openReceivers({
    ...{ specs, file, outbound, clock, environment: Object.fromEntries(others) },
    foundSecrets: (name, path) => tellOfOpenSecret("secrets_file", name, path, log),
  });
}

function notificationService(options: { readonly notifier: Notifier }): ServiceDefinition {
  return defineService(NotificationService, {
    async testReceivers({ receiver }) {
      const tested = await options.notifier.test(receiver === "" ? undefined : receiver);
      if (receiver !== "" && tested.length === 0) throw new NotFound("receiver");
      const receivers = tested.map(({ receiver: name, delivery }) => ({
        name,
        taken: delivery.kind === "taken",
        reason: delivery.kind === "failed" ? delivery.reason : delivery.kind === "gone" ? "http_410" : "",
      }));
      return create(TestReceiversResponseSchema, { receivers });
    },
  });
}
