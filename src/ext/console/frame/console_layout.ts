import { createHash } from "node:crypto";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { postForm } from "./console_forms.js";
import { consoleHeaders } from "./console_headers.js";
import { consoleScript } from "./console_script.js";
import { consoleStyle } from "./console_style.js";
import type { ConsoleVisit } from "./console_visit.js";
import { notices } from "./notices.js";
import { roomScript } from "./room_script.js";

const htmlHeaders = { ...consoleHeaders, "content-type": "text/html; charset=utf-8" };

/** Their addresses change with them, so that browsers may keep them. */
const assets = {
  style: assetOf("console", "css", consoleStyle),
  script: assetOf("console", "js", `${consoleScript}${roomScript}`),
};

/** By path, what pages load. */
export const consoleAssets: ReadonlyMap<string, Answer> = new Map([
  [assets.style.path, assetAnswer("text/css", assets.style.body)],
  [assets.script.path, assetAnswer("text/javascript", assets.script.body)],
]);

export interface ConsolePageContent {
  /** The heading. */
  readonly title: string;
  /** The path of the room that is marked in the navigation. */
  readonly room: string;
  readonly content: Html;
  /** Default 200. */
  readonly status?: number;
}

/** A page of a signed-in person. */
export function consolePage(
  visit: ConsoleVisit,
  { title, room, content, status = 200 }: ConsolePageContent,
): Answer {
  const links = visit.rooms.map(({ title: name, path }) => {
    const current = path === room ? html` aria-current="page"` : undefined;
    return html`<li><a href="${path}"${current}>${name}</a></li>`;
  });
  const notice = notices.get(visit.query.get("notice") ?? "");
  const body = html`<a class="skip" href="#content">Skip to the content</a>
<header class="top">
<a class="brand" href="/">Nexus</a>
<nav aria-label="Console"><ul>
${links}
</ul></nav>
<div class="who"><span>Signed in as <bdi>${visit.session.principal.name}</bdi></span>
${postForm(visit, "/sign-out", html`<button class="quiet" type="submit">Sign out</button>`)}</div>
</header>
<main id="content">
<h1>${title}</h1>
${notice && html`<p class="notice" role="status">${notice}</p>`}
${content}
</main>`;
  return { status, headers: htmlHeaders, body: consoleDocument(title, body, visit.nowMs) };
}

/** A page for somebody who is not signed in, and of what ends a visit. @param lines one sentence each */
export function plainPage(status: number, title: string, lines: readonly (string | Html)[]): Answer {
  const body = html`<main class="plain">
<h1>${title}</h1>
${lines.map((line) => html`<p>${line}</p>`)}
</main>`;
  return { status, headers: htmlHeaders, body: consoleDocument(title, body) };
}

/** @param nowMs the daemon's time, by which the script counts */
function consoleDocument(title: string, body: Html, nowMs?: number): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} - Nexus console</title>
<link rel="stylesheet" href="${assets.style.path}">
<script src="${assets.script.path}" defer></script>
</head>
<body${nowMs === undefined ? undefined : html` data-now="${nowMs}"`}>
${body}
</body>
</html>
`.text;
}

function assetOf(name: string, ending: string, body: string) {
  const version = createHash("sha256").update(body).digest("hex").slice(0, 12);
  return { path: `/${name}-${version}.${ending}`, body };
}

function assetAnswer(type: string, body: string): Answer {
  const headers = {
    ...consoleHeaders,
    "content-type": `${type}; charset=utf-8`,
    "cache-control": "private, max-age=31536000, immutable",
  };
  return { status: 200, headers, body };
}
