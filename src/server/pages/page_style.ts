/** The colours of every page, for light and for dark. */
export const pagePalette = `:root {
  color-scheme: light dark;
  --ground: #f4f5f7;
  --card: #ffffff;
  --text: #1d2129;
  --soft: #5c6470;
  --line: #e1e4e9;
  --good: #1a7f4b;
  --bad: #b3452c;
  --edge: #868e9b;
  --accent: #2b5fc2;
  --on-accent: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14161a;
    --card: #1e2127;
    --text: #e8eaee;
    --soft: #a2aab6;
    --line: #30353e;
    --good: #4cc38a;
    --bad: #f0846b;
    --edge: #747d8b;
    --accent: #8ab4f8;
    --on-accent: #14161a;
  }
}
`;

/** The one stylesheet of the browser listener, `/style.css`. */
export const pageStyle = `${pagePalette}* { box-sizing: border-box; }
body {
  margin: 0;
  min-height: 100vh;
  min-height: 100svh;
  display: grid;
  place-items: center;
  padding: 1.25rem;
  background: var(--ground);
  color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main {
  width: 100%;
  max-width: 26rem;
  padding: 2.25rem 1.75rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 1rem;
  text-align: center;
  overflow-wrap: anywhere;
}
.mark {
  width: 3.5rem;
  height: 3.5rem;
  margin: 0 auto 1.25rem;
  border: 2px solid currentColor;
  border-radius: 50%;
  font-size: 1.6rem;
  font-weight: 600;
  line-height: 3.3rem;
}
.mark svg { width: 1em; height: 1em; vertical-align: -.125em; }
.done { color: var(--good); }
.stopped { color: var(--bad); }
h1 { margin: 0 0 .75rem; font-size: 1.45rem; line-height: 1.25; }
p { margin: 0 0 .6rem; }
p:last-child { margin-bottom: 0; }
.reason, .operator { margin-top: 1.5rem; color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.operator { text-align: left; }
.flag { white-space: nowrap; }
.form { text-align: left; max-width: 30rem; }
.prose { white-space: pre-line; }
.note { margin-top: 1.25rem; color: var(--soft); font-size: .85rem; }
h1 + .note { margin: -.5rem 0 .75rem; }
.field { margin: 1.4rem 0; }
.invalid { padding-left: .85rem; border-left: 4px solid var(--bad); }
label { display: block; margin-bottom: .15rem; font-weight: 600; }
.required { color: var(--bad); }
.optional { color: var(--soft); font-weight: 400; }
.about, .hint, .violation { margin-bottom: .35rem; font-size: .9rem; }
.about, .hint { color: var(--soft); }
.about { white-space: pre-line; }
.hint { font-size: .85rem; }
.violation { color: var(--bad); font-weight: 600; }
input, select {
  width: 100%;
  min-height: 2.75rem;
  padding: .5rem .7rem;
  background: var(--card);
  border: 1px solid var(--edge);
  border-radius: .5rem;
  color: inherit;
  font: inherit;
}
input[type="hidden"] { display: none; }
input[readonly] { background: var(--ground); color: var(--soft); }
.invalid input, .invalid select { border-color: var(--bad); }
button, .button {
  display: block;
  width: 100%;
  min-height: 2.9rem;
  margin-top: .35rem;
  padding: .6rem 1rem;
  background: var(--accent);
  border: 1px solid transparent;
  border-radius: .5rem;
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  cursor: pointer;
}
.button { margin-top: 1.25rem; text-align: center; text-decoration: none; }
a { color: var(--accent); }
a.button { color: var(--on-accent); }
code { font: .92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.scopes { margin: 0 0 .9rem; padding-left: 1.1rem; }
input:focus-visible, select:focus-visible, button:focus-visible, a:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}
.summary {
  margin: 1.25rem 0;
  padding: .9rem 1.1rem;
  border: 2px solid var(--bad);
  border-radius: .5rem;
}
.summary:focus { outline: none; }
.summary h2 { margin: 0 0 .4rem; font-size: 1.05rem; }
.summary ul { margin: 0; padding-left: 1.1rem; }
.summary a { color: var(--bad); }
.hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
@media (max-width: 30rem) {
  body { padding: .75rem; place-items: start center; }
  main { padding: 1.5rem 1.1rem; }
}
`;
