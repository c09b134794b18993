import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl } from "../../domain/access/access.js";
import {
  GetPolicyResponseSchema,
  ListRequestTemplatesResponseSchema,
  PolicyBindingSchema,
  PolicyRuleSchema,
  PolicyService,
} from "../../gen/nexus/v1/policy_pb.js";
import { defaultHoldMs, type Rule } from "../../model/access/access.js";
import type { Clock } from "../../runtime/runtime.js";
import {
  present,
  restrictionMessage,
  roleMessage,
  timestampOf,
  useLimitMessage,
} from "../../service/messages/messages.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";
import type { RequestRecord } from "./record/request_record.js";
import { templateVerdict } from "./record/template_verdict.js";

export function policyService({
  access,
  clock,
  record,
}: {
  readonly access: Pick<AccessControl, "policy" | "permissionsOf">;
  readonly clock: Clock;
  /** Undefined where requests are not recorded. */
  readonly record: RequestRecord | undefined;
}): ServiceDefinition {
  return defineService(PolicyService, {
    async getPolicy() {
      const inForce = access.policy;
      if (!inForce) return create(GetPolicyResponseSchema);
      // A parser, which nothing needs that shows no rules.
      const { conditionWords } = await import("./condition_words.js");
      const { digest, rules, bindings, proxies } = inForce;
      return create(GetPolicyResponseSchema, {
        digest,
        rules: rules.map((rule) => ruleMessage(rule, conditionWords)),
        bindings: bindings.map(({ line, principals, role, restriction }) =>
          create(PolicyBindingSchema, {
            ...{ line, principals: [...principals], role: roleMessage(role) },
            ...present({ restriction: restriction && restrictionMessage(restriction) }),
          }),
        ),
        proxies: [...proxies].sort(),
      });
    },

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

function ruleMessage(rule: Rule, words: (condition: string) => string | undefined) {
  const { line, verdict, providers, condition = "", because, isShadow = false, labels, uses, extent } = rule;
  const holdMs = verdict === "ask" ? (rule.holdMs ?? defaultHoldMs) : undefined;
  return create(PolicyRuleSchema, {
    ...{ line, verdict, because, condition, shadow: isShadow, extents: [...extent] },
    providers: [...(providers ?? [])],
    description: condition === "" ? "" : (words(condition) ?? ""),
    labels: [...(labels ?? [])],
    ...present({
      uses: uses && useLimitMessage(uses.limit),
      hold: holdMs === undefined ? undefined : durationFromMs(holdMs),
    }),
    ...(verdict === "ask" && { approvers: rule.approvers ?? 1 }),
  });
}
