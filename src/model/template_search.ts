import type { ProviderTemplate } from "../gen/nexus/v1/provider_pb.js";

/** What a template can be found by. */
type Searched = Pick<ProviderTemplate, "name" | "displayName"> & {
  readonly provider?: Pick<NonNullable<ProviderTemplate["provider"]>, "category"> | undefined;
};

/**
 * The templates that hold every word of `query` in their name, display name, or category. First comes the one of this name, then names that
 * begin so, then words that do.
 */
export function searchTemplates<Template extends Searched>(
  templates: readonly Template[],
  query: string,
): Template[] {
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

function rankOf(template: Searched, query: string): number {
  if (template.name === query) return 0;
  if (template.name.startsWith(query)) return 1;
  return ` ${textOf(template).replaceAll("-", " ")}`.includes(` ${query}`) ? 2 : 3;
}

function textOf({ name, displayName, provider }: Searched): string {
  return `${name} ${displayName} ${provider?.category ?? ""}`.toLowerCase();
}
