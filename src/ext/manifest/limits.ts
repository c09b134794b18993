import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import type { FieldViolation } from "../../model/errors.js";
import { profileMessage } from "../../model/providers/profile_fields.js";
import type { ProviderSettings } from "../../model/providers/provider_profile.js";

/** What the daemon's API would refuse before it looks at the meaning of a profile: the rules of `nexus.v1.Provider`. */
export function limitViolations(settings: ProviderSettings, clientSecret: string): FieldViolation[] {
  const message = profileMessage(settings);
  message.clientSecret = clientSecret;
  const result = createValidator().validate(ProviderSchema, message);
  if (result.kind === "error") throw result.error;
  return (result.violations ?? []).map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message.replace(
      /^must be greater than or equal to (\S+) and less than or equal to (\S+)$/,
      "must be $1 to $2",
    ),
  }));
}
