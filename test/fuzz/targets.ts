import type { Target } from "./target.js";

/** Each is loaded in a process of its own. */
export const targets: Readonly<Record<string, () => Promise<Target<unknown>>>> = {
  return_url: async () => (await import("./targets/return_url.js")).returnUrlTarget(),
  address: async () => (await import("./targets/address.js")).addressTarget(),
  token_answer: async () => (await import("./targets/token_answer.js")).tokenAnswerTarget(),
  record: async () => (await import("./targets/record.js")).recordTarget(),
  policy: async () => (await import("./targets/policy.js")).policyTarget(),
  callback: async () => (await import("./targets/callback.js")).callbackTarget(),
};
