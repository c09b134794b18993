import { type Files, importsOf } from "./check.js";
import { rooms } from "./rules.js";

/**
 * Where a file reaches past the door of a room of the domain, or a room into one that stands behind it in the line.
 *
 * @returns sentences as `domain/a/b.ts: imports domain/c/d.ts past the door of c`
 */
export function findRoomBreaches(files: Files, line: readonly string[] = rooms): string[] {
  return Object.keys(files).flatMap((path) => {
    const own = roomOf(path);
    const unknown =
      own !== undefined && !line.includes(own) ? [`${path}: ${own} is no room of the line`] : [];
    const breaches = importsOf(path, files).flatMap((target) => {
      const other = roomOf(target);
      if (other === undefined || other === own) return [];
      if (target !== `domain/${other}/${other}.ts`)
        return [`${path}: imports ${target} past the door of ${other}`];
      const isBehind = own !== undefined && line.indexOf(other) > line.indexOf(own);
      return isBehind ? [`${path}: ${own} stands before ${other} in the line of rooms`] : [];
    });
    return [...unknown, ...breaches];
  });
}

function roomOf(path: string): string | undefined {
  return /^domain\/([^/]+)\//.exec(path)?.[1];
}
