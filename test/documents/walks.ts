/** One station of a walk: the method or function by which the walk enters a file. */
export interface Station {
  /** Below src/. */
  readonly file: string;
  /** Empty for a function. */
  readonly owner: string;
  readonly name: string;
  /**
   * What an earlier station calls it: `name`, or that of the interface or listener behind which it stands. Undefined where a person or
   * a client goes on with the walk.
   */
  readonly calledAs: string | undefined;
}

export interface Walk {
  readonly title: string;
  readonly stations: readonly Station[];
}

/**
 * The walks of docs/architecture.md: sections `### Walk: title`, whose numbered items begin with `` `file.ts` `Owner.name` `` (or
 * `` `name` `` for a function), followed by `` as `alias` `` where the station is called by another name, or ` from outside`.
 */
export function walksOf(markdown: string): Walk[] {
  return markdown
    .split(/^### Walk: /m)
    .slice(1)
    .map((section) => {
      const [title = ""] = section.split("\n");
      const body = section.split(/^#/m)[0] ?? "";
      const items = body.matchAll(
        /^\d+\. `([^`]+\.ts)` `(?:(\w+)\.)?(\w+)`(?: as `(\w+)`| (from outside))?/gm,
      );
      const stations = Array.from(items, ([, file = "", owner = "", name = "", alias, outside]) => {
        return { file, owner, name, calledAs: outside ? undefined : (alias ?? name) };
      });
      const numbered = [...body.matchAll(/^\d+\. /gm)].length;
      if (numbered !== stations.length) throw new Error(`${title}: an item names no file and symbol`);
      return { title, stations };
    });
}

/** What is not so in the code, one sentence each. @param sources texts by path below src/ */
export function violationsOf({ title, stations }: Walk, sources: Readonly<Record<string, string>>): string[] {
  const violations: string[] = [];
  for (const [index, { file, owner, name, calledAs }] of stations.entries()) {
    const text = sources[file];
    if (text === undefined) {
      violations.push(`${title}: ${file} does not exist`);
      continue;
    }
    if (owner !== "" && !new RegExp(`\\b(class|interface) ${owner}\\b`).test(text))
      violations.push(`${title}: ${file} has no ${owner}`);
    // A method, a property that holds a function, or a function.
    const defines = new RegExp(
      `^\\s*(export |async |private |static |readonly |function |const |[#*])*${name}\\b`,
      "m",
    );
    if (!defines.test(text)) violations.push(`${title}: ${file} does not define ${name}`);
    const calls = new RegExp(`\\b${calledAs}\\b\\s*[(<,;:)}]`);
    const earlier = stations.slice(0, index).map((station) => sources[station.file] ?? "");
    if (index > 0 && calledAs !== undefined && !earlier.some((each) => calls.test(each)))
      violations.push(`${title}: no station before ${file} calls ${calledAs}`);
  }
  return violations;
}
