import type { ConsoleAction, ConsolePage, ConsoleRoom } from "./frame/console_visit.js";

/** What stands at a path. */
export interface ConsoleRoute {
  readonly params: Readonly<Record<string, string>>;
  readonly page?: ConsolePage;
  readonly action?: ConsoleAction;
  readonly stream?: ConsolePage;
  readonly room: string;
}

interface Pattern extends Omit<ConsoleRoute, "params"> {
  readonly segments: readonly string[];
}

/** The paths of rooms: one pattern for each, the ones without `{name}` before the others. */
export class ConsoleRoutes {
  readonly #patterns: readonly Pattern[];

  constructor(rooms: readonly ConsoleRoom[]) {
    const patterns = rooms.flatMap(({ path, pages, actions = {}, streams = {} }) => {
      const paths = new Set([pages, actions, streams].flatMap((each) => Object.keys(each)));
      return [...paths].map((pattern) => ({
        segments: pattern.slice(1).split("/"),
        room: path,
        ...(pages[pattern] && { page: pages[pattern] }),
        ...(actions[pattern] && { action: actions[pattern] }),
        ...(streams[pattern] && { stream: streams[pattern] }),
      }));
    });
    const names = ({ segments }: Pattern): number => segments.filter((one) => one.startsWith("{")).length;
    this.#patterns = patterns.sort((one, other) => names(one) - names(other));
  }

  find(path: string): ConsoleRoute | undefined {
    const given = path.slice(1).split("/");
    for (const { segments, ...route } of this.#patterns) {
      const params = paramsOf(segments, given);
      if (params) return { ...route, params };
    }
    return undefined;
  }
}

/** The values of the names of a pattern; undefined when the path does not fit it. */
function paramsOf(pattern: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of pattern.entries()) {
    const value = decoded(given[index] ?? "");
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
