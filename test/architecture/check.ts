import { dirname, join, normalize } from "node:path/posix";
import {
  builtins,
  forbiddenFileNames,
  forbiddenFolderNames,
  type Layer,
  layers,
  owned,
  packages,
} from "./rules.js";
import { readSource, type Source } from "./source.js";

/** Paths are relative to src/ and use `/`. */
export type Files = Record<string, string>;

/** Every breach of the rules, one sentence each, `path:line: what` in the order of the paths. */
export function findBreaches(files: Files): string[] {
  const sources = new Map(Object.entries(files).map(([path, text]) => [path, readSource(path, text)]));
  const breaches = [...sources].flatMap(([path, source]) => [
    ...breachesOfName(path),
    ...breachesOfImports(path, source, sources),
    ...breachesOfUse(path, source),
  ]);
  return [...breaches, ...findCycles(sources).map((cycle) => `${cycle[0]}: cycle: ${cycle.join(" -> ")}`)];
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
    const fault = specifier.startsWith(".")
      ? faultOfFileImport(from, targetOf(path, specifier), sources)
      : faultOfPackageImport(from, specifier);
    return fault === undefined ? [] : [`${path}:${line}: ${fault}`];
  });
}

function faultOfFileImport(from: Layer, target: string, sources: Map<string, Source>): string | undefined {
  const to = layerOf(target);
  if (to === undefined) return `import of ${target}, which belongs to no layer`;
  if (!sources.has(target)) return `import of ${target}, which does not exist`;
  const allowed = layers[from];
  if (allowed === "anything" || (allowed as readonly string[]).includes(to)) return undefined;
  return `${from} must not import ${to} (${target})`;
}

function faultOfPackageImport(from: Layer, specifier: string): string | undefined {
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

/** One path for each file that can reach itself, shortest way round, each cycle once. */
function findCycles(sources: Map<string, Source>): string[][] {
  const cycles = new Map<string, string[]>();
  for (const path of sources.keys()) {
    const cycle = wayBackTo(path, sources);
    if (cycle !== undefined) cycles.set([...cycle].sort().join(" "), [...cycle, path]);
  }
  return [...cycles.values()];
}

function wayBackTo(start: string, sources: Map<string, Source>): string[] | undefined {
  const queue = [[start]];
  const seen = new Set<string>();
  for (let way = queue.shift(); way !== undefined; way = queue.shift()) {
    const last = way.at(-1) ?? start;
    for (const { specifier } of sources.get(last)?.imports ?? []) {
      const target = specifier.startsWith(".") ? targetOf(last, specifier) : "";
      if (target === start) return way;
      if (seen.has(target) || !sources.has(target)) continue;
      seen.add(target);
      queue.push([...way, target]);
    }
  }
  return undefined;
}

function layerOf(path: string): Layer | undefined {
  const name = path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "");
  const isFile = !path.includes("/");
  if (!(name in layers) || (isFile ? name !== "daemon" && name !== "main" : name === "main"))
    return undefined;
  return name as Layer;
}

function targetOf(path: string, specifier: string): string {
  return normalize(join(dirname(path), specifier)).replace(/\.js$/, ".ts");
}

function packageNameOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
