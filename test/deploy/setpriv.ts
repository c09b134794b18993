import { execFileSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { basename } from "node:path";
import { pathOf } from "../needs.js";

const folder = "/run/setpriv";
const place = (path: string): string => `${folder}/${basename(path)}`;

/**
 * Makes a process the user of a container and takes every capability from it, before the program of the image starts. It is this
 * machine's setpriv with its own libraries, since the image has neither.
 */
export function setpriv(user: { readonly uid: number; readonly gid: number; readonly groups: string }): {
  readonly binds: readonly string[];
  readonly command: readonly string[];
} {
  const program = pathOf("setpriv") ?? "";
  const listed = execFileSync("ldd", [program], { encoding: "utf8" });
  const libraries = [...listed.matchAll(/(\/\S+) \(/g)].map(([, path = ""]) => path);
  const loader = libraries.find((path) => basename(path).startsWith("ld-")) ?? "";
  const who = [`--reuid=${user.uid}`, `--regid=${user.gid}`, `--groups=${user.groups}`];
  const bare = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"];
  return {
    binds: [program, ...libraries].flatMap((path) => ["--ro-bind", realpathSync(path), place(path)]),
    command: [place(loader), "--library-path", folder, place(program), ...who, ...bare],
  };
}
