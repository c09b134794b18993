// Judges the site in docs/site/dist: each link and anchor of each page leads somewhere, no page is wider than a phone, and no table is cut
// on a laptop. With `--out FOLDER` the pictures of a few pages on both.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, extname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { launchChromium } from "../../test/launch_chromium.js";

const site = join(import.meta.dirname, "dist");
const phone = { width: 390, height: 844 };
const laptop = { width: 1280, height: 900 };
const shown = [
  "index.html",
  "settings.html",
  "operations.html",
  "api/token.html",
  "clients.html",
  "commands.html",
];
const { values } = parseArgs({ options: { out: { type: "string" } } });

const pages = readdirSync(site, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".html"),
);
const textOf = new Map(pages.map((page) => [page, readFileSync(join(site, page), "utf8")]));
const idsOf = new Map(
  [...textOf].map(([page, text]) => [
    page,
    new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
  ]),
);

function brokenLinks(page: string, text: string): string[] {
  return [...text.matchAll(/ (?:href|src)="([^"]+)"/g)].flatMap(([, link = ""]) => {
    if (/^(https?:|data:|mailto:)/.test(link)) return [];
    const [path = "", anchor] = link.replaceAll("&amp;", "&").split("#");
    const place =
      path === "" ? page : relative("/", join("/", path.startsWith("/") ? "" : dirname(page), path));
    const target = place === "" ? "index.html" : place;
    if (!existsSync(join(site, target)) || !statSync(join(site, target)).isFile())
      return [`${page}: ${link}`];
    if (anchor === undefined || anchor === "" || extname(target) !== ".html") return [];
    return idsOf.get(target)?.has(decodeURIComponent(anchor)) ? [] : [`${page}: ${link}`];
  });
}

async function widePages(): Promise<string[]> {
  const server = createServer((request, response) => {
    const path = join(site, decodeURIComponent(new URL(request.url ?? "/", "http://site").pathname));
    if (!path.startsWith(site) || !existsSync(path) || !statSync(path).isFile())
      return void response.writeHead(404).end();
    const type = {
      ".html": "text/html",
      ".css": "text/css",
      ".js": "text/javascript",
      ".svg": "image/svg+xml",
    };
    response.writeHead(200, {
      "content-type": type[extname(path) as keyof typeof type] ?? "application/octet-stream",
    });
    response.end(readFileSync(path));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const chromium = await launchChromium();
  try {
    const page = await chromium.newPage({ viewport: phone });
    const wide: string[] = [];
    for (const name of pages) {
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`);
      const width = await page.evaluate("document.documentElement.scrollWidth");
      if (Number(width) > phone.width)
        wide.push(`${name}: ${width} pixels wide on a phone of ${phone.width}`);
      const picture = async (size: string) => {
        if (!values.out || !shown.includes(name)) return;
        mkdirSync(values.out, { recursive: true });
        await page.screenshot({ path: join(values.out, `${name.replaceAll("/", "-")}-${size}.png`) });
      };
      await picture("phone");
      await page.setViewportSize(laptop);
      const cut = await page.evaluate(
        "[...document.querySelectorAll('.vp-doc table')].filter((each) => each.scrollWidth > each.clientWidth + 1).length",
      );
      if (Number(cut) > 0) wide.push(`${name}: ${cut} tables are cut at ${laptop.width} pixels`);
      await picture("laptop");
      await page.setViewportSize(phone);
    }
    return wide;
  } finally {
    await chromium.close();
    server.close();
  }
}

const faults = [...[...textOf].flatMap(([page, text]) => brokenLinks(page, text)), ...(await widePages())];
for (const fault of faults) process.stderr.write(`docs: ${fault}\n`);
if (faults.length > 0 || pages.length === 0) process.exit(1);
process.stdout.write(`docs: ${pages.length} pages in docs/site/dist, every link leads somewhere\n`);
