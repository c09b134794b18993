import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { flagFields, flagValue, type ProfileFlags } from "./provider_flags.js";

type Fields = Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;

/** Fields of a profile and the names of those that are set, as an update mask wants them. */
export interface ProfileChange {
  readonly fields: Fields;
  readonly mask: readonly string[];
}

/** What the given flags set, and nothing else. An empty value clears its field. */
export function profileChange(flags: ProfileFlags): ProfileChange {
  const given = flagFields
    .map((each) => ({ field: each.field, value: flagValue(flags, each) }))
    .filter(({ value }) => value !== undefined);
  const fields = given
    .filter(({ field, value }) => !(field.kind === "duration" && value === "default"))
    .map(({ field, value }) => [field.descriptor.localName, field.encode(value)]);
  return { fields: Object.fromEntries(fields), mask: given.map(({ field }) => field.name) };
}
