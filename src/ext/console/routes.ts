import type { FormAction, Page, Section } from "./kit/request.js";

/** What stands at a path. */
export interface Route {
  readonly params: Readonly<Record<string, string>>;
  readonly page: Page | undefined;
  readonly action: FormAction | undefined;
  /** The path of its section. */
  readonly section: string;
}

/** What stands at `path`; undefined where nothing does. A pattern without `{name}` comes before the others. */
export function routeOf(sections: readonly Section[], path: string): Route | undefined {
  const given = path.slice(1).split("/").map(decoded);
  const found = sections.flatMap(({ path: section, pages, actions = {} }) =>
    [...new Set([pages, actions].flatMap(Object.keys))].flatMap((pattern) => {
      const params = paramsOf(pattern, given);
      if (params === undefined) return [];
      return [{ params, page: pages[pattern], action: actions[pattern], section }];
    }),
  );
  return found.sort((one, other) => Object.keys(one.params).length - Object.keys(other.params).length)[0];
}

/** The values of the names of a pattern; undefined when the path does not fit it. */
function paramsOf(
  pattern: string,
  given: readonly (string | undefined)[],
): Record<string, string> | undefined {
  const segments = pattern.slice(1).split("/");
  if (segments.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const value = given[index];
    if (!segment.startsWith("{")) {
      if (segment !== value) return undefined;
    } else if (value === undefined || value === "") return undefined;
    else params[segment.slice(1, -1)] = value;
  }
  return params;
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
