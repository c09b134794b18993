import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readFiles } from "./check.js";
import { allDoors, findDoors, findNamedExtensions } from "./doors.js";
import { namedExtensions, nounsOfCore } from "./rules.js";

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
