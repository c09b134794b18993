import { basename, dirname } from "node:path";
import { run } from "./run.mjs";

/**
 * Packs a folder, under its own name, into a .tar.gz. The bytes depend on the contents, the modes of owners, and the time alone.
 * @param epoch of every file, in seconds since 1970
 */
export function packFolder(folder, file, epoch) {
  const same = ["--sort=name", "--format=gnu", "--owner=0", "--group=0", "--numeric-owner"];
  const args = [...same, "--mode=u+rwX,go=rX", `--mtime=@${epoch}`, "--use-compress-program=gzip -n"];
  run("tar", ["--create", ...args, "--file", file, "--directory", dirname(folder), basename(folder)]);
}
