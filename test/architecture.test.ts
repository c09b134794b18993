import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Files, findBreaches, readFiles } from "./architecture/check.js";
import { allDoors, findDoors, findNamedExtensions } from "./architecture/doors.js";
import { namedExtensions, nounsOfCore } from "./architecture/rules.js";

const src = join(import.meta.dirname, "..", "src");

test("src/ keeps the rules of test/architecture/rules.ts", () => {
  const files = readFiles(src);

  expect(Object.keys(files).length).toBeGreaterThan(0);
  expect(findBreaches(files)).toEqual([]);
});

test("extensions import no file of the core that rules.ts does not list", () => {
  expect(findDoors(readFiles(src)).filter((path) => !allDoors.has(path))).toEqual([]);
});

test("the core names no extension where rules.ts does not list it", () => {
  const named = Object.entries(findNamedExtensions(readFiles(src), nounsOfCore));
  expect(
    named.flatMap(([name, paths]) =>
      paths
        .filter((path) => namedExtensions[name]?.[path] === undefined)
        .map((path) => `${path} names ${name}`),
    ),
  ).toEqual([]);
});

describe("the checker accepts", () => {
  const accepted: Record<string, Files> = {
    "imports that point down": {
      "domain/a.ts": `import { b } from "../store/b.js"; import type { C } from "../model/c.js";`,
      "store/b.ts": `import { open } from "lmdb"; import { x } from "../gen/nexus/v1/x_pb.js"; export const b = 1;`,
      "model/c.ts": `export type C = string;`,
      "gen/nexus/v1/x_pb.ts": `import { fileDesc } from "@bufbuild/protobuf/codegenv2"; performance.now();`,
    },
    "anything in main.ts and daemon/daemon.ts": {
      "main.ts": `import { run } from "./cli/run.js"; import "lmdb"; import "left-pad";`,
      "cli/run.ts": `import { start } from "../daemon/daemon.js"; import { Command } from "commander";`,
      "daemon/daemon.ts": `import "../store/b.js";`,
      "store/b.ts": ``,
    },
    "what a layer owns": {
      "config/env.ts": `export const env = process.env["HOME"];`,
      "runtime/clock.ts": `export const now = () => Date.now(); setTimeout(now, 1); new Date();`,
      "vault/seal.ts": `import { createCipheriv } from "node:crypto";`,
      "outbound/send.ts": `export const send = () => fetch("https://example.com");`,
    },
    "extensions that import the core and themselves, in one list": {
      "main.ts": `import { extensions } from "./ext/extensions.js"; import "./cli/a.js";`,
      "cli/a.ts": ``,
      "ext/extensions.ts": `import { one } from "./one/extension.js";`,
      "ext/one/extension.ts": `import "../../cli/a.js"; const it = await import("./it.js"); import { z } from "zod";`,
      "ext/one/it.ts": ``,
    },
    "the private member for which there is no other way": {
      "server/sockets/socket_notes.ts": `const fd = (socket as { _handle?: { fd: number } })._handle?.fd;`,
    },
    "unused parameters, private fields and __proto__": {
      "server/a.ts": `class A { #b = 1; c(_d: number) { return this.#b; } } const e = name === "__proto__";`,
    },
    "members, dates from a number, comments and strings": {
      "domain/a.ts": `
        // import "../server/x.js"; Date.now()
        interface Deps { fetch(): void; setTimeout: number }
        export const f = (deps: Deps, ms: number) => [deps.fetch(), deps.setTimeout, new Date(ms), "process.env"];
        import { createHash } from "node:crypto";`,
    },
  };

  test.each(Object.entries(accepted))("%s", (_name, files) => {
    expect(findBreaches(files)).toEqual([]);
  });
});

describe("the checker refuses", () => {
  const here = {
    "ext/extensions.ts": "",
    "ext/two/extension.ts": "",
    "ext/two/inside.ts": "",
    "model/here.ts": "",
    "service/here.ts": "",
    "server/here.ts": "",
    "domain/here.ts": "",
  };
  const refused: [path: string, text: string, breach: string][] = [
    // up, sideways, out
    ["store/a.ts", `import { x } from "../domain/here.js";`, "store must not import domain"],
    ["store/a.ts", `import type { x } from "../domain/here.js";`, "store must not import domain"],
    ["store/a.ts", `export { x } from "../domain/here.js";`, "store must not import domain"],
    ["store/a.ts", `export * from "../domain/here.js";`, "store must not import domain"],
    ["store/a.ts", `const x = await import("../domain/here.js");`, "store must not import domain"],
    ["store/a.ts", `type X = import("../domain/here.js").X;`, "store must not import domain"],
    ["store/a.ts", `const x = await import(name);`, "(computed) has no owner"],
    ["runtime/a.ts", `import "../model/here.js";`, "runtime must not import model"],
    ["vault/a.ts", `import "../oauth/b.js"; `, "which does not exist"],
    ["domain/a.ts", `import "../service/here.js";`, "domain must not import service"],
    ["domain/a.ts", `import "../daemon/daemon.js";`, "which does not exist"],
    ["cli/a.ts", `import "../server/here.js";`, "cli must not import server"],
    ["model/a.ts", `import "../../test/fakes/clock.js";`, "belongs to no layer"],
    ["plugins/a.ts", ``, "belongs to no layer"],
    ["server.ts", ``, "belongs to no layer"],
    ["daemon.ts", ``, "belongs to no layer"],
    // walls
    ["ext/one/a.ts", `import "../two/extension.js";`, "only ext/extensions.ts may import the extension two"],
    ["ext/extensions.ts", `import "./two/inside.js";`, "and of it extension.ts alone"],
    [
      "daemon/a.ts",
      `import "../ext/two/extension.js";`,
      "only ext/extensions.ts may import the extension two",
    ],
    ["cli/a.ts", `import "../ext/extensions.js";`, "cli must not import ext"],
    ["daemon/a.ts", `import "../ext/extensions.js";`, "only main.ts may import ext/extensions.ts"],
    // packages and builtins
    ["domain/a.ts", `import { open } from "lmdb";`, "domain must not import lmdb (only store)"],
    ["service/a.ts", `import { check } from "fast-check";`, "fast-check has no owner"],
    [
      "domain/a.ts",
      `import { create } from "@bufbuild/protobuf";`,
      "domain must not import @bufbuild/protobuf",
    ],
    [
      "domain/a.ts",
      `import { wkt } from "@bufbuild/protobuf/wkt";`,
      "domain must not import @bufbuild/protobuf",
    ],
    ["model/a.ts", `import pino from "pino";`, "model must not import pino"],
    ["store/a.ts", `import x from "left-pad";`, "left-pad has no owner"],
    ["store/a.ts", `import { readFileSync } from "fs";`, "fs has no owner"],
    ["model/a.ts", `import { readFileSync } from "node:fs";`, "model must not import node:fs"],
    ["domain/a.ts", `import { connect } from "node:net";`, "domain must not import node:net"],
    ["store/a.ts", `import { Script } from "node:vm";`, "node:vm has no owner"],
    [
      "store/a.ts",
      `import { setTimeout as sleep } from "node:timers/promises";`,
      "store must not import node:timers",
    ],
    // globals
    ["cli/a.ts", `const home = process.env.HOME;`, "cli must not use process.env"],
    ["cli/a.ts", `const home = process["env"]["HOME"];`, "cli must not use process.env"],
    ["cli/a.ts", `const { env } = process;`, "cli must not use process.env"],
    ["main.ts", `run(globalThis.process.env);`, "main must not use process.env"],
    ["store/a.ts", `const t = Date.now();`, "store must not use Date.now (only runtime)"],
    ["store/a.ts", `const now = Date.now;`, "store must not use Date.now"],
    ["store/a.ts", `const t = new Date();`, "store must not use Date()"],
    ["store/a.ts", `const t = new globalThis.Date();`, "store must not use Date()"],
    ["store/a.ts", `const t = performance.now();`, "store must not use performance.now"],
    ["daemon/daemon.ts", `setTimeout(() => {}, 1);`, "daemon must not use setTimeout"],
    ["domain/a.ts", `globalThis.setInterval(() => {}, 1);`, "domain must not use setInterval"],
    ["domain/a.ts", `run({ setTimeout });`, "domain must not use setTimeout"],
    [
      "domain/a.ts",
      `await fetch("https://example.com");`,
      "domain must not use fetch (only oauth, outbound)",
    ],
    ["domain/a.ts", `const send = options.send ?? fetch;`, "domain must not use fetch"],
    [
      "store/a.ts",
      `import { createCipheriv as c } from "node:crypto";`,
      "store must not use .createCipheriv",
    ],
    [
      "store/a.ts",
      `import * as c from "node:crypto"; c.createDecipheriv();`,
      "must not use .createDecipheriv",
    ],
    // private members
    [
      "server/a.ts",
      `const fd = (socket as { _handle?: { fd: number } })._handle?.fd;`,
      "_handle is a private member",
    ],
    ["server/a.ts", `const message = socket["_httpMessage"];`, "_httpMessage is a private member"],
    ["server/a.ts", `const { _server: server } = wrapped;`, "_server is a private member"],
    ["server/a.ts", `interface WithStream { readonly _stream?: object }`, "_stream is a private member"],
    ["server/a.ts", `const handle = Reflect.get(socket, "_handle");`, "_handle is a private member"],
    // names
    ["store/index.ts", ``, "barrel"],
    ["store/utils/a.ts", ``, "a folder named utils"],
    ["helpers/a.ts", ``, "a folder named helpers"],
    ["domain/common/a.ts", ``, "a folder named common"],
  ];

  test.each(refused)("%s: %s", (path, text, breach) => {
    const breaches = findBreaches({ ...here, [path]: text });

    expect(breaches.join("\n")).toContain(breach);
    expect(breaches.every((each) => each.startsWith(path))).toBe(true);
  });

  test("a cycle of files, once, and names the way", () => {
    const cycle = {
      "store/a.ts": `import type { B } from "./b.js";`,
      "store/b.ts": `export * from "./inner/c.js";`,
      "store/inner/c.ts": `const a = () => import("../a.js");`,
      "store/d.ts": `import "./a.js";`,
    };

    const breaches = findBreaches(cycle);

    expect(breaches).toHaveLength(1);
    expect(breaches[0]).toMatch(/cycle: .*store\/a\.ts -> store\/b\.ts -> store\/inner\/c\.ts/);
  });

  test("a cycle of folders whose files have none", () => {
    const cycle = {
      "store/a.ts": `import "./inner/b.js";`,
      "store/inner/b.ts": ``,
      "store/inner/c.ts": `import "../d.js";`,
      "store/d.ts": ``,
    };

    expect(findBreaches(cycle)).toEqual(["store/: cycle: store -> store/inner -> store"]);
  });

  test("none where a door stands before its folder, whose files it only passes on", () => {
    const room = {
      "store/store.ts": `export { b } from "./inner/b.js";`,
      "store/inner/b.ts": `import "../a.js";`,
      "store/a.ts": ``,
    };

    expect(findBreaches(room)).toEqual([]);
    expect(findBreaches({ ...room, "store/store.ts": `import { b } from "./inner/b.js"; b();` })).toEqual([
      "store/: cycle: store -> store/inner -> store",
    ]);
  });

  test("a folder that holds too much, and does not count what lies deeper", () => {
    const many = Object.fromEntries(
      Array.from({ length: 26 }, (_, n) => [`store/${n < 13 ? "" : "deep/"}f${n}.ts`, ""]),
    );
    expect(findBreaches(many)).toEqual([]);

    const more = Object.fromEntries(Array.from({ length: 26 }, (_, n) => [`store/f${n}.ts`, ""]));
    expect(findBreaches(more)).toEqual(["store/: 26 files, more than 25"]);
  });

  test("a long file and a long function, and names the line", () => {
    expect(findBreaches({ "store/a.ts": `${"\n".repeat(499)}f();` })).toEqual([]);
    expect(findBreaches({ "store/a.ts": `${"\n".repeat(500)}f();` })).toEqual([
      "store/a.ts: 501 lines, more than 500",
    ]);

    const body = (lines: number): string => `\nconst f = () => {${"\n".repeat(lines - 1)}};`;
    expect(findBreaches({ "store/a.ts": body(60) })).toEqual([]);
    expect(findBreaches({ "store/a.ts": body(61) })).toEqual([
      "store/a.ts:2: a function of 61 lines, more than 60",
    ]);
  });

  test("a file that imports itself", () => {
    expect(findBreaches({ "store/a.ts": `import "./a.js";` })[0]).toContain(
      "cycle: store/a.ts -> store/a.ts",
    );
  });

  test("the line is the line of the import", () => {
    expect(findBreaches({ "store/a.ts": `\n\nimport "pino";` })[0]).toMatch(/^store\/a\.ts:3: /);
  });
});
