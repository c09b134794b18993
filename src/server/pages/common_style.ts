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

/** What the pages of the browser listener and of the console share: colours, text, fields, buttons, what has the focus. */
export const commonStyle = `${pagePalette}* { box-sizing: border-box; }
body {
  margin: 0;
  min-height: 100vh;
  background: var(--ground);
  color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.45rem; line-height: 1.25; }
a { color: var(--accent); }
label { display: block; font-weight: 600; }
.hint { color: var(--soft); font-size: .85rem; }
.violation { color: var(--bad); font-size: .9rem; font-weight: 600; }
.invalid { padding-left: .85rem; border-left: 4px solid var(--bad); }
input, select, textarea {
  max-width: 100%;
  min-height: 2.5rem;
  padding: .4rem .6rem;
  background: var(--card);
  border: 1px solid var(--edge);
  border-radius: .5rem;
  color: inherit;
  font: inherit;
}
input[readonly] { background: var(--ground); }
.invalid input, .invalid select, .invalid textarea { border-color: var(--bad); }
button, .button {
  padding: .4rem 1rem;
  background: var(--accent);
  border: 1px solid transparent;
  border-radius: .5rem;
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  text-decoration: none;
  cursor: pointer;
}
input:focus-visible, select:focus-visible, textarea:focus-visible, button:focus-visible, a:focus-visible, summary:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}
[hidden], input[type="hidden"] { display: none !important; }
.hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
`;
