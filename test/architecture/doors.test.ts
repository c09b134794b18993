import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readFiles } from "./check.js";
import { allDoors, findDoors, findNamedExtensions } from "./doors.js";
import { findRoomBreaches } from "./rooms.js";
import { namedExtensions, nounsOfCore } from "./rules.js";
import { findRepeatedTypes } from "./type_names.js";

const files = readFiles(join(import.meta.dirname, "..", "..", "src"));

// That nothing beyond the lists is there, `test/architecture.test.ts` checks, also without an extension.
test("rules.ts lists no door that is closed", () => {
  const open = findDoors(files);
  expect([...allDoors].filter((path) => !open.includes(path))).toEqual([]);
});

test("rules.ts lists no name of an extension that is gone", () => {
  const named = findNamedExtensions(files, nounsOfCore);
  expect(
    Object.entries(namedExtensions).flatMap(([name, paths]) =>
      Object.keys(paths)
        .filter((path) => !named[name]?.includes(path))
        .map((path) => `${path} does not name ${name}`),
    ),
  ).toEqual([]);
});

describe("the search for doors and names", () => {
  const files = {
    "cli/shell/a.ts": "",
    "cli/shell/page.tsx": "",
    "gen/x_pb.ts": "",
    "ext/extensions.ts": `import "./web_shop/extension.js";`,
    "ext/web_shop/extension.ts": `import "../../cli/shell/a.js"; import "../../gen/x_pb.js"; import "./own.js";`,
    "ext/web_shop/own.ts": `const page = () => import("../../cli/shell/page.js");`,
    "ext/watch/extension.ts": "",
  };

  test("finds what extensions import of the core, at any time", () => {
    expect(findDoors(files)).toEqual(["cli/shell/a", "cli/shell/page"]);
  });

  test.each<[string, string]>([
    ["an identifier", "const x = openWebShop();"],
    ["a type", "type WebShopList = string[];"],
    ["a text", `throw new Error("set it at the web shop");`],
    ["a setting", "read(NEXUS_WEB_SHOP_LISTEN)"],
    ["an import", `import "../gen/web_shop_pb.js";`],
  ])("finds the name of an extension in %s", (_where, text) => {
    expect(findNamedExtensions({ ...files, "daemon/b.ts": text }, [])).toEqual({ web_shop: ["daemon/b.ts"] });
  });

  test("finds none in comments, in parts of words, nor where it is a noun of the core", () => {
    const text = "// of the web shop\n/** Web shop. */ const webShopping = watch(); // web\nshop();";
    expect(findNamedExtensions({ ...files, "daemon/b.ts": text }, ["watch"])).toEqual({});
  });
});

describe("the rooms of the domain", () => {
  test("have one door each, and form a line", () => {
    expect(findRoomBreaches(files)).toEqual([]);
  });

  const line = ["records", "asking", "reading"];
  const tree = {
    "domain/records/records.ts": `export { a } from "./inner/a.js";`,
    "domain/records/inner/a.ts": "export const a = 1;",
    "domain/asking/asking.ts": `import { a } from "../records/records.js";`,
    "domain/reading/reading.ts": "export const b = 1;",
    "service/c.ts": `import { b } from "../domain/reading/reading.js";`,
  };

  test("may import doors of rooms before them", () => {
    expect(findRoomBreaches(tree, line)).toEqual([]);
  });

  test.each([
    [
      "domain/asking/x.ts",
      `import "../records/inner/a.js";`,
      "imports domain/records/inner/a.ts past the door of records",
    ],
    [
      "service/x.ts",
      `const a = () => import("../domain/records/inner/a.js");`,
      "imports domain/records/inner/a.ts past the door of records",
    ],
    [
      "domain/records/x.ts",
      `import type { b } from "../reading/reading.js";`,
      "records stands before reading in the line of rooms",
    ],
    ["domain/telling/x.ts", "", "telling is no room of the line"],
  ])("%s fails with %s", (path, text, breach) => {
    expect(findRoomBreaches({ ...tree, [path]: text }, line)).toEqual([`${path}: ${breach}`]);
  });
});

describe("names of types", () => {
  test("are declared once", () => {
    expect(findRepeatedTypes(files)).toEqual([]);
  });

  test("are found where they are not", () => {
    const repeated = {
      "store/a.ts": "export interface Answer {}\ninterface Own {}",
      "ext/b/c.ts": "type Answer = string;",
      "gen/x_pb.ts": "export type Own = string;",
    };
    expect(findRepeatedTypes(repeated)).toEqual(["Answer: store/a.ts, ext/b/c.ts"]);
  });
});
