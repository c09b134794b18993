import { readFileSync } from "node:fs";
import { defineConfig } from "vitepress";

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
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    sidebar: JSON.parse(readFileSync(new URL("sidebar.json", pages), "utf8")),
    nav: [
      { text: "Get started", link: "/" },
      { text: "Security", link: "/security" },
      { text: "Changelog", link: "/changelog" },
    ],
  },
});
