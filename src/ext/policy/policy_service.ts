import { create } from "@bufbuild/protobuf";
import {
  GetPolicyResponseSchema,
  PolicyBindingSchema,
  PolicyRuleSchema,
  PolicyService,
} from "../../gen/nexus/v1/policy_pb.js";
import type { Policy, Rule } from "../../model/access/access.js";
import {
  present,
  restrictionMessage,
  roleMessage,
  useLimitMessage,
} from "../../service/messages/messages.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";

/** @param policy that of the file in force; undefined where there is no file */
export function policyService(policy: () => Policy | undefined): ServiceDefinition {
  return defineService(PolicyService, {
    async getPolicy() {
      const inForce = policy();
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
  });
}

function ruleMessage(rule: Rule, words: (condition: string) => string | undefined) {
  const { line, verdict, providers, condition = "", because, isShadow = false, labels, uses, extent } = rule;
  return create(PolicyRuleSchema, {
    ...{ line, verdict, because, condition, shadow: isShadow, extents: [...extent] },
    providers: [...(providers ?? [])],
    description: condition === "" ? "" : (words(condition) ?? ""),
    labels: [...(labels ?? [])],
    ...present({ uses: uses && useLimitMessage(uses.limit) }),
  });
}
