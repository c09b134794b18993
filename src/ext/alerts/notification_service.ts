import { create } from "@bufbuild/protobuf";
import { NotificationService, TestReceiversResponseSchema } from "../../gen/nexus/v1/notification_pb.js";
import { NotFound } from "../../model/errors.js";
import { defineService, type ServiceDefinition } from "../../service/pipeline/service_definition.js";
import type { Notifier } from "./notifier.js";

export function notificationService(options: { readonly notifier: Notifier }): ServiceDefinition {
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
