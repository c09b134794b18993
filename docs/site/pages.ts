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

/** The page of a document: `docs/fleet.md` is `fleet`, a README is its folder. */
function pageOf(path: string): string {
  if (path === "README.md") return "index";
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

/** A file that a document links to, or the files of a folder that git holds: beside them may lie what a test has built. */
function sourcePage(path: string): string {
  const body = statSync(join(root, path)).isDirectory()
    ? execFileSync("git", ["ls-files"], { cwd: join(root, path), encoding: "utf8" })
        .split("\n")
        .filter((name) => name !== "" && !name.includes("/"))
        .map((name) => `## ${name}\n\n${codeBlock(`${path}/${name}`)}`)
        .join("\n\n")
    : codeBlock(path);
  return `---\nsearch: false\n---\n# ${path}\n\n${body}\n`;
}

function codeBlock(path: string): string {
  const language =
    { ".yml": "yaml", ".service": "ini", ".conf": "nginx" }[extname(path)] ?? extname(path).slice(1);
  return `\`\`\`\`\`${language}\n${read(path).trimEnd()}\n\`\`\`\`\``;
}

/** `## Group` and `- [Title](link)` of docs/README.md; the command line and the files of the API come from the source. */
function sidebar() {
  const groups = read("docs/README.md").split(/^## /m).slice(1);
  return groups.map((group) => {
    const [text = ""] = group.split("\n");
    const items = [...group.matchAll(/^- \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, title = "", link = ""]) => ({
      text: title.replaceAll("`", ""),
      link: siteLink("docs/README.md", link),
    }));
    if (text === "Reference") items.push({ text: "Command line", link: "/commands.md" });
    return { text, collapsed: false, items };
  });
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
for (const document of documents) write(`${pageOf(document)}.md`, withSiteLinks(document, read(document)));
write("commands.md", await commandPage());
write("api.md", apiContents());
for (const [name, text] of api) write(`api/${name}.md`, text);
for (const path of sources) write(`source/${path}.md`, sourcePage(path));
