import type { ServerResponse } from "node:http";

export function unavailable(response: ServerResponse): void {
  show(response, 503, "Service Unavailable", "<p>Come back later.</p>");
}

export function show(response: ServerResponse, status: number, title: string, body: string): void {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
  response.end(document(title, body));
}

export function document(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<p class="whose">Test provider</p>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Unlike the pages of the daemon, so that a person sees who asks. */
const style = `
:root { color-scheme: light dark; --ground: #eef1f6; --card: #fff; --text: #1c2230; --soft: #566074; --line: #d4dae4; --accent: #5b3fc4; --on-accent: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15131c; --card: #211e2b; --text: #ece9f4; --soft: #aba5bd; --line: #3a3548; --accent: #b9a7ff; --on-accent: #1b1630; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: 1.75rem 1.5rem; background: var(--card); border: 1px solid var(--line); border-top: 5px solid var(--accent); border-radius: .5rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25; }
p { margin: 0 0 .9rem; }
.whose { margin-bottom: .3rem; color: var(--soft); font-size: .9rem; }
.complaint { color: #b3261e; font-weight: 600; }
ul { margin: 0 0 1.1rem; padding: 0; list-style: none; border: 1px solid var(--line); border-radius: .4rem; }
li { padding: .55rem .8rem; }
li + li { border-top: 1px solid var(--line); }
li code { display: block; color: var(--soft); font-size: .8rem; }
label { display: block; font-weight: 600; }
input { display: block; width: 100%; min-height: 2.75rem; margin-top: .3rem; padding: .5rem .7rem; border: 1px solid #7c8699; border-radius: .4rem; background: var(--card); color: inherit; font: inherit; }
.buttons { display: flex; gap: .7rem; margin: 0; }
button { flex: 1; min-height: 2.75rem; border: 1px solid var(--accent); border-radius: .4rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer; }
button.quiet { background: none; color: var(--text); border-color: #7c8699; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (prefers-color-scheme: dark) { .complaint { color: #ff9a8f; } }
`;
