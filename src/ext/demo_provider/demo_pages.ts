import { html } from "hono/html";

const style = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText; font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(24rem, 100vw - 2rem); box-sizing: border-box; padding: 1.5rem; border: 1px solid color-mix(in srgb, CanvasText 25%, Canvas); border-top: 5px solid #5b3fc4; border-radius: .5rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25; }
form { display: flex; gap: .7rem; margin-top: 1.5rem; }
button { flex: 1; min-height: 2.75rem; border: 1px solid #5b3fc4; border-radius: .4rem; background: none; color: inherit; font: inherit; cursor: pointer; }
#allow { background: #5b3fc4; color: #fff; font-weight: 600; }
`;

/** What the user is asked, and what a button sends. */
export function consentPage(fields: URLSearchParams): string {
  const scopes = (fields.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
  const sent = [...fields].filter(([name]) => name !== "decision");
  return page(
    "Allow access?",
    html`<p><b>nexusd</b> wants to use the account <b>ada</b>${scopes.length > 0 ? html`, for <b>${scopes.join(", ")}</b>` : ""}.</p>
<p>This is the demo provider on your machine: no account and no password are needed.</p>
<form id="provider-consent" method="post" action="/authorize">${sent.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<button id="deny" name="decision" value="deny">Deny</button>
<button id="allow" name="decision" value="allow">Allow</button></form>`,
  );
}

export function refusalPage(why: string): string {
  return page("This request cannot be served", html`<p>${why}</p>`);
}

function page(title: string, body: ReturnType<typeof html>): string {
  return String(html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="icon" href="data:,"><style>${style}</style></head>
<body><main><h1>${title}</h1>${body}</main></body></html>
`);
}
