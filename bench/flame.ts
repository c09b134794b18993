/**
 * `npm run bench:flame -- FILE.cpuprofile [--least PERCENT] [--depth N] [--from SECONDS]`: a profile of V8 (`node --cpu-prof`) as text: where the
 * time was spent, by function, and the tree of calls from the top, without what came before `--from`. Percent of the time in which
 * the process was busy.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** As `node --cpu-prof` writes it: times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Functions of one name below one caller, together. */
interface Frame {
  selfUs: number;
  totalUs: number;
  readonly callees: Map<string, Frame>;
}

const idle = new Set(["(idle)", "(program)", "(root)"]);
/** Functions listed by their own time. */
const topFunctions = 15;

interface Cut {
  /** Of the busy time, in percent: what took less is left out. */
  readonly least: number;
  readonly depth: number;
  /** Microseconds from the beginning of the profile. */
  readonly fromUs: number;
}

export function flameText(profile: CpuProfile, { least, depth, fromUs }: Cut): string {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const selfUs = new Map<number, number>();
  let atUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const tookUs = profile.timeDeltas[index] ?? 0;
    atUs += tookUs;
    if (atUs > fromUs) selfUs.set(id, (selfUs.get(id) ?? 0) + tookUs);
  }
  const [root] = profile.nodes;
  if (root === undefined) return "";
  const bySelf = new Map<string, number>();
  const into = (node: ProfileNode, parent: Frame): void => {
    const name = nameOf(node);
    if (idle.has(name) && name !== "(root)") return;
    const frame = name === "(root)" ? parent : calleeOf(parent, name);
    const own = selfUs.get(node.id) ?? 0;
    frame.selfUs += own;
    bySelf.set(name, (bySelf.get(name) ?? 0) + own);
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child) into(child, frame);
    }
  };
  const top: Frame = { selfUs: 0, totalUs: 0, callees: new Map() };
  into(root, top);
  const busyUs = addUp(top);
  const percent = (us: number): string => ((100 * us) / busyUs).toFixed(1).padStart(5);
  const lines = ["self, by function", ""];
  for (const [name, us] of [...bySelf].sort((a, b) => b[1] - a[1]).slice(0, topFunctions)) {
    lines.push(`${percent(us)} ${name}`);
  }
  lines.push("", "total and self, from the top", "");
  const write = ({ callees }: Frame, level: number): void => {
    if (level >= depth) return;
    for (const [name, frame] of [...callees].sort((a, b) => b[1].totalUs - a[1].totalUs)) {
      if ((100 * frame.totalUs) / busyUs < least) return;
      lines.push(`${percent(frame.totalUs)} ${percent(frame.selfUs)} ${"  ".repeat(level)}${name}`);
      write(frame, level + 1);
    }
  };
  write(top, 0);
  return `${lines.join("\n")}\n`;
}

function calleeOf({ callees }: Frame, name: string): Frame {
  const known = callees.get(name) ?? { selfUs: 0, totalUs: 0, callees: new Map<string, Frame>() };
  callees.set(name, known);
  return known;
}

function addUp(frame: Frame): number {
  frame.totalUs = frame.selfUs;
  for (const callee of frame.callees.values()) frame.totalUs += addUp(callee);
  return frame.totalUs;
}

/** No path of this machine: the file alone. */
function nameOf({ callFrame: { functionName, url } }: ProfileNode): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  return url === "" || url.includes("/dist/bundle/") ? name : `${name} ${basename(url)}`;
}

if (import.meta.filename === process.argv[1]) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      least: { type: "string", default: "2" },
      depth: { type: "string", default: "24" },
      from: { type: "string", default: "0" },
    },
  });
  const profile = JSON.parse(readFileSync(positionals[0] ?? "", "utf8")) as CpuProfile;
  const { least, depth, from } = values;
  process.stdout.write(
    flameText(profile, { least: Number(least), depth: Number(depth), fromUs: Number(from) * 1e6 }),
  );
}
