import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl } from "../../../domain/access/access.js";
import { ListRequestTemplatesResponseSchema, RecordingService } from "../../../gen/nexus/v1/recording_pb.js";
import type { Clock } from "../../../runtime/runtime.js";
import { present, timestampOf } from "../../../service/messages/messages.js";
import { defineService, type ServiceDefinition } from "../../../service/service.js";
import type { RequestRecord } from "./request_record.js";
import { templateVerdict } from "./template_verdict.js";

/** @param record undefined where requests are not recorded */
export function recordingService(
  record: RequestRecord | undefined,
  { access, clock }: { readonly access: Pick<AccessControl, "permissionsOf">; readonly clock: Clock },
): ServiceDefinition {
  return defineService(RecordingService, {
    async listRequestTemplates({ since }) {
      const seen = record?.list(since ? timestampMs(since) : 0) ?? [];
      const templates = seen.map(({ count, firstMs, lastMs, ...template }) => ({
        ...template,
        count: BigInt(count),
        ...present({ firstSeen: timestampOf(firstMs), lastSeen: timestampOf(lastMs) }),
        verdict: templateVerdict(access.permissionsOf(template.principal), template, clock.nowMs()),
      }));
      const leftOut = BigInt(record?.leftOut ?? 0);
      return create(ListRequestTemplatesResponseSchema, {
        recording: record !== undefined,
        templates,
        leftOut,
      });
    },
  });
}
