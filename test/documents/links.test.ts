import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { problemMessages } from "../../src/model/problem_reason.js";
import { fakeShell } from "../cli/fake_shell.js";

const root = join(import.meta.dirname, "../..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");

const documents = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...["bench/README.md", "examples/README.md"],
];

const { scripts } = JSON.parse(read("package.json")) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** The anchors of the headings of `text`, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  const headings = text.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ +(.*)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** What is wrong with the relative links of a document. */
function brokenLinks(name: string): string[] {
  const text = read(name).replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? name : join(dirname(name), path);
    if (!existsSync(join(root, target))) return [`${link}: there is no ${target}`];
    if (anchor === undefined || anchorsOf(read(target)).includes(anchor)) return [];
    return [`${link}: ${target} has no such heading`];
  });
}

/** `nexusd WORDS --flags` in the code of a document, each with the words and flags that it is called with. */
function commandsOf(name: string): { words: string[]; flags: string[] }[] {
  const text = read(name).replaceAll("\\\n", " ");
  const code = [...text.matchAll(/^ *```([a-z]*)\n([\s\S]*?)^ *```|`(nexusd [^`\n]+)`/gm)]
    .filter(([, language = ""]) => language === "" || language === "sh")
    .map(([, , block, span]) => block ?? span);
  const call = /(?<![\w./-])nexusd((?: +[a-z][a-z|-]*(?![A-Za-z0-9_./:]))+)((?: +[^\s`#|&)]+)*)/g;
  return [...code.join("\n").matchAll(call)].map(([, words = "", rest = ""]) => ({
    words: words.split(" ").filter((word) => word !== ""),
    // What follows `--` belongs to the program that it runs.
    flags: rest
      .split(/ -- /, 1)
      .join()
      .split(" ")
      .flatMap((word) => /^--[a-z-]+/.exec(word) ?? []),
  }));
}

/** The help of the command that begins with `words`; further words are arguments. */
async function helpOf(words: readonly string[]): Promise<string> {
  const shell = fakeShell();
  await run([...words, "--help"], shell);
  return shell.out();
}

describe.each(documents)("%s", (name) => {
  it("has no broken link", () => {
    expect(brokenLinks(name)).toEqual([]);
  });

  it("names scripts of package.json and files that exist", () => {
    const text = read(name);
    const called = [...text.matchAll(/npm run ([a-z][a-z:-]*)/g)].map(([, script = ""]) => script);
    expect(called.filter((script) => script !== "" && !Object.hasOwn(scripts, script))).toEqual([]);

    const paths = text.matchAll(
      /[`\s]((?:src|test|scripts|proto|examples|deploy(?!\/agent)|docs|bench)\/[\w./-]*\w)/g,
    );
    const missing = [...paths].map(([, path = ""]) => path).filter((path) => !existsSync(join(root, path)));
    expect(missing).toEqual([]);
  });

  it("calls the one nexusd that was installed", () => {
    // Outside of its folder npx asks the registry for a package of that name, whosever it is.
    expect(read(name)).not.toMatch(/npx (-y |--yes )?nexusd/);
  });

  it("calls commands and flags that nexusd has", async () => {
    for (const { words, flags } of commandsOf(name)) {
      const [first = "", given = ""] = words;
      // `plan|apply` names each of them.
      const [second = ""] = given.split("|");
      const help = await helpOf([first, second, ...words.slice(2)].filter((word) => word !== ""));
      const isGroup = first !== "" && (await helpOf([first])).split("\n")[0]?.includes("[command]");
      const named = first === "" ? "" : ` ${first}(\\|\\w+)?${isGroup ? ` ${second}` : ""}`;
      const usage = new RegExp(`^Usage: nexusd${named}`);
      expect([words, help]).toEqual([words, expect.stringMatching(usage)]);
      for (const flag of flags) expect([words, help]).toEqual([words, expect.stringContaining(flag)]);
    }
  });
});

it("lists every document in docs/README.md, which is the navigation of the site", () => {
  const links = [...read("docs/README.md").matchAll(/\]\(([^)#]+)/g)].map(([, link = ""]) =>
    join("docs", link),
  );
  const unlisted = documents.filter((name) => name !== "docs/README.md" && !links.includes(name));
  expect(unlisted).toEqual([]);
});

it("keeps the README to 200 lines and CONTRIBUTING to 160", () => {
  expect(read("README.md").split("\n").length - 1).toBeLessThanOrEqual(200);
  expect(read("CONTRIBUTING.md").split("\n").length - 1).toBeLessThanOrEqual(160);
});

it("shows in the README lines that the Python agent has", () => {
  const [, shown = ""] = /^```python\n([\s\S]*?)^```/m.exec(read("README.md")) ?? [];
  const agent = read("examples/python/agent.py")
    .split("\n")
    .map((line) => line.trim());
  const lines = shown.split("\n").map((line) => line.replace(/ +# .*$/, "").trim());
  expect(lines.filter((line) => line !== "").length).toBeGreaterThan(0);
  expect(lines.filter((line) => !agent.includes(line))).toEqual([]);
});

it("explains each problem of a connection in docs/failures.md", () => {
  const text = read("docs/failures.md");
  expect(Object.keys(problemMessages).filter((reason) => !text.includes(`\`${reason}\``))).toEqual([]);
});
