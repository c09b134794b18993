// Writes what VitePress builds, into docs/site/pages: the documents of the repository with their links made those of the site, the
// references, and the files that a document links to. `docs/README.md` is the navigation.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { apiPages, commandPage } from "./reference.js";

const root = join(import.meta.dirname, "../..");
const output = join(import.meta.dirname, "pages");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

function write(path: string, text: string | Buffer): void {
  mkdirSync(dirname(join(output, path)), { recursive: true });
  writeFileSync(join(output, path), text);
}

/** What changes nexusd, and not what uses it: a navigation of its own, and no part of the search. */
const forContributors = [
  "CONTRIBUTING.md",
  "test/clients/PROTOCOL.md",
  ...["architecture", "catalogue", "records", "traps", "dependencies"].map((name) => `docs/${name}.md`),
];

/** The page of a document: `docs/fleet.md` is `fleet`, a README is its folder. */
function pageOf(path: string): string {
  if (path === "docs/welcome.md") return "index";
  if (path === "README.md") return "install";
  if (forContributors.includes(path)) return `contribute/${basename(path, ".md").toLowerCase()}`;
  const place = path.replace(/^docs\//, "").replace(/\.md$/, "");
  return place === "README" ? "contents" : place.replace(/\/README$/, "").toLowerCase();
}

const documents = [
  ...["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "test/clients/PROTOCOL.md"],
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("site/"))
    .map((name) => `docs/${name}`),
  ...["clients/typescript", "clients/python", "clients/go", "examples", "examples/mcp", "bench"].map(
    (folder) => `${folder}/README.md`,
  ),
];
const api = apiPages(root);
/** Files and folders that a document links to. */
const sources = new Set<string>();

/** Where a link of a document leads on the site. */
function siteLink(document: string, link: string): string {
  if (/^([a-z]+:|#)/.test(link)) return link;
  const [place = "", anchor] = link.split("#");
  const path = join(dirname(document), place).replace(/\/$/, "");
  const hash = anchor === undefined ? "" : `#${anchor}`;
  if (path === "proto/nexus/v1") return "/api.md";
  if (path.startsWith("proto/nexus/v1/")) return `/api/${basename(path, ".proto")}.md`;
  const target = [path, `${path}/README.md`].find((each) => documents.includes(each));
  if (target !== undefined) return `/${pageOf(target)}.md${hash}`;
  if (/\.(png|svg)$/.test(path)) {
    cpSync(join(root, path), join(output, "public", path));
    return `/${path}`;
  }
  if (!existsSync(join(root, path))) throw new Error(`${document}: ${link} leads nowhere`);
  sources.add(path);
  return `/source/${path}.md`;
}

function withSiteLinks(document: string, text: string): string {
  return text
    .split(/(^ *```[\s\S]*?^ *```)/m)
    .map((piece) =>
      /^ *```/.test(piece)
        ? piece
        : piece
            .replaceAll(/\]\(([^)\s]+)\)/g, (_all, link: string) => `](${siteLink(document, link)})`)
            .replaceAll(
              /(src|srcset)="([^"]+)"/g,
              (_all, name, link) => `${name}="${siteLink(document, link)}"`,
            ),
    )
    .join("");
}

/** The languages of blocks that stand for one another, with the names of their tabs. */
const tabs: Readonly<Record<string, string>> = {
  ts: "TypeScript",
  python: "Python",
  "python async": "Python, asyncio",
  go: "Go",
  sh: "Shell",
};

/** Blocks that follow each other without a word between, each in another language, become tabs. */
function withTabs(text: string): string {
  const block = /^```([^`\n]*)\n[\s\S]*?\n```$/m;
  const run = new RegExp(`(?:${block.source}\\n*){2,}`, "gm");
  return text.replaceAll(run, (all) => {
    const blocks = all.split(/\n\n(?=```\w)/).map((each) => each.trim());
    const languages = blocks.map((each) => each.slice(3, each.indexOf("\n")));
    const isChoice =
      languages.length > 1 &&
      new Set(languages).size === languages.length &&
      languages.every((language) => Object.hasOwn(tabs, language)) &&
      languages.some((language) => language !== "sh");
    if (!isChoice) return all;
    const named = blocks.map((each, index) => {
      const [language = ""] = (languages[index] ?? "").split(" ");
      return each.replace(/^```[^\n]*/, `\`\`\`${language} [${tabs[languages[index] ?? ""]}]`);
    });
    return `::: code-group\n\n${named.join("\n\n")}\n\n:::\n\n`;
  });
}

/** A document as a page, with where it is edited. */
function documentPage(document: string): string {
  const isOfContributors = forContributors.includes(document);
  const search = isOfContributors ? "search: false\n" : "";
  const wide = ["docs/settings.md", "docs/provider-fields.md"].includes(document) ? "aside: false\n" : "";
  return `---\nsource: ${document}\n${search}${wide}---\n${withTabs(withSiteLinks(document, read(document)))}`;
}

/** A file that a document links to, or the files of a folder that git holds: beside them may lie what a test has built. */
function sourcePage(path: string): string {
  const body = statSync(join(root, path)).isDirectory()
    ? execFileSync("git", ["ls-files"], { cwd: join(root, path), encoding: "utf8" })
        .split("\n")
        .filter((name) => name !== "" && !name.includes("/"))
        .map((name) => `## ${name}\n\n${codeBlock(`${path}/${name}`)}`)
        .join("\n\n")
    : codeBlock(path);
  return `---\nsearch: false\neditLink: false\n---\n# ${path}\n\n${body}\n`;
}

function codeBlock(path: string): string {
  const language =
    { ".yml": "yaml", ".service": "ini", ".conf": "nginx" }[extname(path)] ?? extname(path).slice(1);
  return `\`\`\`\`\`${language}\n${read(path).trimEnd()}\n\`\`\`\`\``;
}

/** `## Group` and `- [Title](link)` of docs/README.md; the command line and the files of the API come from the source. */
function sidebar() {
  const groups = read("docs/README.md").split(/^## /m).slice(1);
  const rows = groups.map((group) => {
    const [text = ""] = group.split("\n");
    const items = [...group.matchAll(/^- \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, title = "", link = ""]) => ({
      text: title.replaceAll("`", ""),
      link: siteLink("docs/README.md", link),
    }));
    if (text === "Reference") items.push({ text: "Command line", link: "/commands.md" });
    return { text, collapsed: false, items };
  });
  const contribute = rows.filter(({ text }) => text === "Contribute");
  return { "/contribute/": contribute, "/": rows.filter((row) => !contribute.includes(row)) };
}

/** The files of the API, each with its services. */
function apiContents(): string {
  const rows = [...api].map(([name, page]) => {
    const services = [...page.matchAll(/^## (\w+Service)$/gm)].map(([, service]) => service);
    return `- [${name}.proto](/api/${name}.md)${services.length > 0 ? `: ${services.join(", ")}` : ""}`;
  });
  return `# API\n\nThe package \`nexus.v1\`, file by file.\n\n${rows.join("\n")}\n`;
}

rmSync(output, { recursive: true, force: true });
write("sidebar.json", JSON.stringify(sidebar(), null, 2));
for (const document of documents) write(`${pageOf(document)}.md`, documentPage(document));
const generated = (text: string): string => `---\neditLink: false\naside: false\n---\n${text}`;
write("commands.md", generated(await commandPage()));
write("api.md", generated(apiContents()));
for (const [name, text] of api) write(`api/${name}.md`, generated(text));
for (const path of sources) write(`source/${path}.md`, sourcePage(path));
