import type { ProviderTemplate } from "../gen/nexus/v1/provider_pb.js";

/**
 * The templates that hold every word of `query` in their name, display name, or category. First comes the one of this name, then names that
 * begin so, then words that do.
 */
export function searchTemplates(templates: readonly ProviderTemplate[], query: string): ProviderTemplate[] {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return templates
    .filter((template) => words.every((word) => textOf(template).includes(word)))
    .map((template) => ({ template, rank: rankOf(template, words.join(" ")) }))
    .toSorted((one, other) => one.rank - other.rank)
    .map(({ template }) => template);
}

function rankOf(template: ProviderTemplate, query: string): number {
  if (template.name === query) return 0;
  if (template.name.startsWith(query)) return 1;
  return ` ${textOf(template).replaceAll("-", " ")}`.includes(` ${query}`) ? 2 : 3;
}

function textOf({ name, displayName, provider }: ProviderTemplate): string {
  return `${name} ${displayName} ${provider?.category ?? ""}`.toLowerCase();
}
