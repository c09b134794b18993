import { readFileSync } from "node:fs";
import { defineConfig } from "vitepress";

const { version, repository } = JSON.parse(
  readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
);
const forge = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
const pages = new URL("../pages/", import.meta.url);

export default defineConfig({
  title: "nexusd",
  description: "Keeps an agent's OAuth credentials alive",
  srcDir: "pages",
  outDir: "dist",
  ignoreDeadLinks: "localhostLinks",
  // The anchors that the forge makes, so that a link is good in both places.
  markdown: {
    anchor: {
      slugify: (heading) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
          .replaceAll(" ", "-"),
    },
  },
  transformPageData(page) {
    // The path of the document, not of the copy that is built.
    if (page.frontmatter.source) page.filePath = page.frontmatter.source;
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    sidebar: JSON.parse(readFileSync(new URL("sidebar.json", pages), "utf8")),
    // Written into the pages, which know their document.
    editLink: { pattern: `${forge}/edit/main/:path`, text: "Edit this page" },
    nav: [
      { text: "Get started", link: "/" },
      { text: "Troubleshooting", link: "/troubleshooting" },
      { text: "Security", link: "/security" },
      { text: "Contribute", link: "/contribute/contributing" },
      { text: version, link: "/changelog" },
    ],
  },
});
