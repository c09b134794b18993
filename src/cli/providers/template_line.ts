import type { ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { printable } from "../shell/text.js";
import { typeName } from "./provider_words.js";

/** One line of a list, as wide as its names. */
export function templateLine(template: ProviderTemplate, nameWidth: number): string {
  const type = template.provider ? typeName(template.provider) : "";
  return printable(
    `${template.name.padEnd(nameWidth)}  ${template.displayName}${type === "oauth2" ? "" : ` (${type})`}`,
  );
}
