import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Terminal } from "./terminal.js";

const root = join(import.meta.dirname, "../..");

/** Who walks. */
export interface Walker {
  readonly name: "root" | "nobody";
  readonly uid: number;
}

/** A bare home with nothing but nexusd, installed from a checkout or from the package, and a browser. */
export class Home {
  readonly folder: string;
  readonly #bin: string;
  readonly #open: Terminal[] = [];
  /** What a folder has in the beginning. */
  readonly #kept: readonly (readonly [folder: string, names: readonly string[]])[];

  /** @param opener where `xdg-open` posts the URL that it is given */
  constructor(
    readonly walker: Walker,
    installation: "checkout" | "package",
    opener: string,
  ) {
    this.folder = `/home/${walker.name}-${installation}`;
    this.#bin = join(this.folder, ".local/bin");
    mkdirSync(this.#bin, { recursive: true });
    writeFileSync(join(this.folder, ".npmrc"), `prefix=${join(this.folder, ".local")}\noffline=true\n`);
    this.program(
      "xdg-open",
      `#!/bin/sh\nexec curl -q -sS --noproxy '*' --data-urlencode "url=$1" ${opener}\n`,
    );
    if (installation === "checkout") this.#checkOut();
    else this.#unpack();
    execFileSync("chown", ["-R", `${walker.uid}:${walker.uid}`, this.folder]);
    if (installation === "checkout") this.#mountModules();
    const folders = [this.folder, this.checkout].filter(existsSync);
    this.#kept = folders.map((folder) => [folder, readdirSync(folder)]);
  }

  /** The checkout of which the README speaks. */
  get checkout(): string {
    return join(this.folder, "nexusd");
  }

  get #as(): string[] {
    if (this.walker.name === "root") return [];
    const { uid } = this.walker;
    return ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  }

  /** Where commands with files of the repository are typed. */
  get workFolder(): string {
    return existsSync(this.checkout) ? this.checkout : this.folder;
  }

  /** A file in the home folder, owned by the user. */
  file(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
    chownSync(join(this.folder, name), this.walker.uid, this.walker.uid);
  }

  /** Puts a program on the `PATH`. */
  program(name: string, text: string): void {
    writeFileSync(join(this.#bin, name), text);
    chmodSync(join(this.#bin, name), 0o755);
  }

  /** A window of the user, in the home folder or below it. */
  terminal(folder = this.folder): Terminal {
    const terminal = new Terminal({
      as: this.#as,
      env: {
        HOME: this.folder,
        USER: this.walker.name,
        PATH: `${this.#bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${dirname(process.execPath)}`,
        LANG: "C.UTF-8",
        DISPLAY: ":0",
        // Node does not read what the machine trusts.
        NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/ca-certificates.crt",
      },
      cwd: folder,
    });
    this.#open.push(terminal);
    return terminal;
  }

  async closeTerminals(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((terminal) => terminal.close()));
  }

  /** Without nexusd's data, and whatever else a document left. */
  empty(): void {
    for (const [folder, kept] of this.#kept)
      for (const name of readdirSync(folder))
        if (!kept.includes(name)) rmSync(join(folder, name), { recursive: true, force: true });
    for (const name of ["share", "state"])
      rmSync(join(this.folder, ".local", name), { recursive: true, force: true });
  }

  /** The modules of the tests stand for those that `npm ci` installs, and cannot be written. */
  #mountModules(): void {
    const modules = join(this.checkout, "node_modules");
    mkdirSync(modules, { recursive: true });
    execFileSync("mount", ["--bind", join(root, "node_modules"), modules]);
    execFileSync("mount", ["-o", "remount,bind,ro", modules]);
  }

  /** What `git clone` and the build of `npm ci` leave. */
  #checkOut(): void {
    mkdirSync(this.checkout);
    const files = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0");
    for (const file of [...files.filter((name) => name !== ""), "dist"])
      cpSync(join(root, file), join(this.checkout, file), {
        recursive: true,
        filter: (source) => !source.includes("compile-cache"),
      });
  }

  /** What npm makes of the packed package. */
  #unpack(): void {
    const place = join(this.folder, ".local/lib/node_modules/nexusd");
    mkdirSync(place, { recursive: true });
    const npm = (...args: string[]) => execFileSync("npm", args, { cwd: root, encoding: "utf8" });
    const [{ filename }] = JSON.parse(
      npm("pack", "--ignore-scripts", "--json", "--pack-destination", this.folder),
    ) as [{ filename: string }];
    execFileSync("tar", ["-xzf", join(this.folder, filename), "-C", place, "--strip-components=1"]);
    const modules = npm("ls", "--omit=dev", "--all", "--parseable").trim().split("\n").slice(1);
    for (const source of modules)
      cpSync(source, join(place, source.slice(root.length + 1)), { recursive: true });
    execFileSync("ln", ["-s", "../lib/node_modules/nexusd/dist/main.js", join(this.#bin, "nexusd")]);
  }
}
