import type { CreateProviderResponse, UpdateProviderResponse } from "../../gen/nexus/v1/provider_pb.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

/** What would keep a person from consenting at a profile that was written; beside the answer, which may be JSON. */
export function printWarnings(
  { stderr }: Pick<Shell, "stderr">,
  { provider, warnings }: CreateProviderResponse | UpdateProviderResponse,
): void {
  for (const warning of warnings) stderr.write(`warning: ${provider?.name ?? ""}: ${printable(warning)}\n`);
}
