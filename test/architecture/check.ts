import { existsSync, readdirSync, readFileSync } from "node:fs";
import { sep } from "node:path";
import { dirname, join, normalize } from "node:path/posix";
import {
  allowedPrivateMembers,
  builtins,
  forbiddenFileNames,
  forbiddenFolderNames,
  type Layer,
  layers,
  limits,
  owned,
  packages,
  rooms,
} from "./rules.js";
import { readSource, type Source } from "./source.js";

const extensionList = "ext/extensions.ts";

/** Paths are relative to src/ and use `/`. */
export type Files = Record<string, string>;

/** The sources below a folder; none where there is no folder. */
export function readFiles(folder: string): Files {
  if (!existsSync(folder)) return {};
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
    /\.tsx?$/.test(path),
  );
  return Object.fromEntries(
    paths.map((path) => [path.split(sep).join("/"), readFileSync(join(folder, path), "utf8")]),
  );
}

/** Every breach of the rules, one sentence each, `path:line: what` in the order of the paths. */
export function findBreaches(files: Files): string[] {
  const sources = new Map(Object.entries(files).map(([path, text]) => [path, readSource(path, text)]));
  const breaches = [...sources].flatMap(([path, source]) => [
    ...breachesOfName(path),
    ...breachesOfImports(path, source, sources),
    ...breachesOfUse(path, source),
    ...breachesOfPrivacy(path, source),
    ...breachesOfSize(path, source),
  ]);
  const cycles = findCycles(importsOfFiles(sources)).map(
    (cycle) => `${cycle[0]}: cycle: ${cycle.join(" -> ")}`,
  );
  // A cycle of files is one of their folders too: once is enough.
  const folders = cycles.length > 0 ? [] : findCycles(importsOfFolders(sources));
  return [
    ...breaches,
    ...cycles,
    ...folders.map((cycle) => `${cycle[0]}/: cycle: ${cycle.join(" -> ")}`),
    ...breachesOfFolders(sources),
  ];
}

function breachesOfSize(path: string, { lines, functions }: Source): string[] {
  if (layerOf(path) === "gen") return [];
  const long = functions.filter((found) => found.lines > limits.linesOfFunction);
  return [
    ...(lines > limits.linesOfFile ? [`${path}: ${lines} lines, more than ${limits.linesOfFile}`] : []),
    ...long.map(
      (found) =>
        `${path}:${found.line}: a function of ${found.lines} lines, more than ${limits.linesOfFunction}`,
    ),
  ];
}

function breachesOfFolders(sources: Map<string, Source>): string[] {
  const counts = new Map<string, number>();
  for (const path of sources.keys()) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  return [...counts]
    .filter(([folder, count]) => count > limits.filesInFolder && !folder.startsWith("gen/"))
    .map(([folder, count]) => `${folder}/: ${count} files, more than ${limits.filesInFolder}`);
}

function breachesOfName(path: string): string[] {
  const parts = path.split("/");
  const name = parts.pop() ?? "";
  const breaches: string[] = [];
  if (forbiddenFileNames.includes(name)) breaches.push(`${path}: barrel: ${name} is not allowed`);
  for (const folder of parts.filter((part) => forbiddenFolderNames.includes(part))) {
    breaches.push(`${path}: a folder named ${folder} says nothing about what is inside`);
  }
  if (layerOf(path) === undefined)
    breaches.push(`${path}: belongs to no layer in test/architecture/rules.ts`);
  return breaches;
}

function breachesOfImports(path: string, { imports }: Source, sources: Map<string, Source>): string[] {
  const from = layerOf(path);
  if (from === undefined) return [];
  return imports.flatMap(({ specifier, line }) => {
    const violation = specifier.startsWith(".")
      ? (violationOfFileImport(from, targetOf(path, specifier, sources), sources) ??
        violationOfWall(path, targetOf(path, specifier, sources)))
      : violationOfPackageImport(from, specifier);
    return violation === undefined ? [] : [`${path}:${line}: ${violation}`];
  });
}

function violationOfFileImport(
  from: Layer,
  target: string,
  sources: Map<string, Source>,
): string | undefined {
  const to = layerOf(target);
  if (to === undefined) return `import of ${target}, which belongs to no layer`;
  // Whether data exists, the compiler sees.
  if (!sources.has(target) && !target.endsWith(".json")) return `import of ${target}, which does not exist`;
  const allowed = layers[from];
  if (allowed === "anything" || (allowed as readonly string[]).includes(to)) return undefined;
  return `${from} must not import ${to} (${target})`;
}

/** An extension is seen by itself, and by the list of extensions; the list by `main`. */
function violationOfWall(path: string, target: string): string | undefined {
  const [layer, name] = target.split("/");
  if (layer !== "ext") return undefined;
  if (target === extensionList) return path === "main.ts" ? undefined : `only main.ts may import ${target}`;
  if (path.startsWith(`ext/${name}/`)) return undefined;
  if (path === extensionList && target === `ext/${name}/extension.ts`) return undefined;
  return `only ${extensionList} may import the extension ${name}, and of it extension.ts alone`;
}

function violationOfPackageImport(from: Layer, specifier: string): string | undefined {
  if (layers[from] === "anything") return undefined;
  const name = specifier.startsWith("node:") ? specifier : packageNameOf(specifier);
  const owners = specifier.startsWith("node:") ? builtins[name] : packages[name];
  if (owners === undefined) return `${name} has no owner in test/architecture/rules.ts`;
  return owners.includes(from) ? undefined : `${from} must not import ${name} (only ${owners.join(", ")})`;
}

function breachesOfUse(path: string, { uses }: Source): string[] {
  const from = layerOf(path);
  if (from === undefined || from === "gen") return [];
  return uses.flatMap(({ thing, text, line }) => {
    const owners: readonly Layer[] = owned[thing];
    if (owners.includes(from)) return [];
    return [`${path}:${line}: ${from} must not use ${text} (only ${owners.join(", ")})`];
  });
}

function breachesOfPrivacy(path: string, { privateMembers }: Source): string[] {
  if (layerOf(path) === "gen") return [];
  const allowed = allowedPrivateMembers[path] ?? [];
  const names = privateMembers.filter(({ name }) => !allowed.includes(name));
  return names.map(({ name, line }) => `${path}:${line}: ${name} is a private member of somebody else`);
}

/** What a file imports, without the packages. */
export function importsOf(path: string, files: Files): string[] {
  return targetsOf(path, readSource(path, files[path] ?? ""), { has: (target) => target in files });
}

function targetsOf(path: string, { imports }: Source, sources: { has(path: string): boolean }): string[] {
  return imports
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier }) => targetOf(path, specifier, sources))
    .filter((target) => sources.has(target));
}

/** What each file imports, without the packages. */
function importsOfFiles(sources: Map<string, Source>): Map<string, Set<string>> {
  return new Map([...sources].map(([path, source]) => [path, new Set(targetsOf(path, source, sources))]));
}

/** What the files of each folder import from other folders: a folder stands for those right in it. */
function importsOfFolders(sources: Map<string, Source>): Map<string, Set<string>> {
  const folders = new Map<string, Set<string>>();
  const placeOf = (path: string) => (standsAlone(path, sources.get(path)) ? path : dirname(path));
  for (const [path, targets] of importsOfFiles(sources)) {
    const place = placeOf(path);
    const imported = folders.get(place) ?? new Set();
    folders.set(place, imported);
    for (const target of targets) if (placeOf(target) !== place) imported.add(placeOf(target));
  }
  return folders;
}

/**
 * `extension.ts` and the file by which a room opens itself wire what is in their folders, and a door shows it: none is one of the files that
 * stand behind it.
 */
function standsAlone(path: string, source: Source | undefined): boolean {
  const wires = /^ext\/[^/]+\/extension\.ts$/.test(path) || isDoorOfRoom(path);
  return wires || source?.isDoor === true;
}

/** The door of a room of the domain, which wires its folder. */
export function isDoorOfRoom(path: string): boolean {
  return rooms.some((room) => path === `domain/${room}/${room}.ts`);
}

/** One path for each place that can reach itself, shortest way round, each cycle once. */
function findCycles(graph: Map<string, Set<string>>): string[][] {
  const cycles = new Map<string, string[]>();
  for (const place of [...graph.keys()].sort()) {
    const cycle = wayBackTo(place, graph);
    const key = [...(cycle ?? [])].sort().join(" ");
    if (cycle !== undefined && !cycles.has(key)) cycles.set(key, [...cycle, place]);
  }
  return [...cycles.values()];
}

function wayBackTo(start: string, graph: Map<string, Set<string>>): string[] | undefined {
  const queue = [[start]];
  const seen = new Set<string>();
  for (let way = queue.shift(); way !== undefined; way = queue.shift()) {
    for (const target of graph.get(way.at(-1) ?? start) ?? []) {
      if (target === start) return way;
      if (seen.has(target)) continue;
      seen.add(target);
      queue.push([...way, target]);
    }
  }
  return undefined;
}

export function layerOf(path: string): Layer | undefined {
  const name = path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "");
  const isFile = !path.includes("/");
  if (!(name in layers) || isFile !== (name === "main")) return undefined;
  return name as Layer;
}

/** The source that an import means: of views a `.tsx`. */
function targetOf(path: string, specifier: string, sources: { has(path: string): boolean }): string {
  const target = normalize(join(dirname(path), specifier)).replace(/\.js$/, ".ts");
  return sources.has(`${target}x`) ? `${target}x` : target;
}

function packageNameOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
