import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../temporary_folder.js";

const root = join(import.meta.dirname, "../..");

interface ReleaseScript {
  packChart(place: object, image?: string): string;
}

/** Packs the chart as `npm run release -- --image NAME@DIGEST` does. @returns the path of the package */
export async function packedChart(version: string, image: string): Promise<string> {
  const { packChart } = (await import(join(root, "scripts/release/libraries.mjs"))) as ReleaseScript;
  const folder = temporaryFolder();
  const [out, work] = [join(folder, "out"), join(folder, "work")];
  for (const path of [out, work]) mkdirSync(path);
  const place = { source: root, out, work, versions: { plain: version }, epoch: 1_700_000_000 };
  return join(out, packChart(place, image));
}
