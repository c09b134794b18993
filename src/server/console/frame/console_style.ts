import { pagePalette } from "../../pages/page_style.js";

/** The one stylesheet of the console. */
export const consoleStyle = `${pagePalette}:root { --warn: #8a5a00; --wash: #eef2fb; }
@media (prefers-color-scheme: dark) { :root { --warn: #e2b04a; --wash: #232a38; } }
* { box-sizing: border-box; }
body {
  margin: 0;
  min-height: 100vh;
  background: var(--ground);
  color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere;
}
a { color: var(--accent); }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: .5rem; top: .5rem; padding: .5rem; background: var(--card); z-index: 1; }
.top {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: .5rem 1.5rem;
  padding: .6rem 1.25rem;
  background: var(--card);
  border-bottom: 1px solid var(--line);
}
.brand { color: inherit; font-weight: 700; text-decoration: none; }
.top nav { flex: 1 1 auto; }
.top ul { display: flex; flex-wrap: wrap; gap: .25rem; margin: 0; padding: 0; list-style: none; }
.top nav a { display: block; padding: .35rem .7rem; border-radius: .5rem; color: inherit; text-decoration: none; }
.top nav a:hover { background: var(--ground); }
.top nav a[aria-current] { background: var(--wash); font-weight: 600; }
.who { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; color: var(--soft); font-size: .85rem; }
main { max-width: 84rem; margin: 0 auto; padding: 1.25rem; }
main.plain {
  max-width: 32rem;
  margin-top: 12vh;
  padding: 2rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 1rem;
}
h1 { margin: 0 0 1rem; font-size: 1.45rem; line-height: 1.25; }
h2 { margin: 1.75rem 0 .75rem; font-size: 1.1rem; }
p { margin: 0 0 .75rem; }
code { font-size: .9em; }
.soft { color: var(--soft); }
.notice, .problem { padding: .75rem 1rem; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--good); border-radius: .5rem; }
.problem { border-left-color: var(--bad); }
.card { padding: 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.actions { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
label { display: block; font-weight: 600; }
.field { margin-bottom: 1rem; }
.hint { color: var(--soft); font-size: .85rem; font-weight: 400; }
input, select {
  max-width: 100%;
  min-height: 2.5rem;
  padding: .4rem .6rem;
  background: var(--card);
  border: 1px solid var(--edge);
  border-radius: .5rem;
  color: inherit;
  font: inherit;
}
input[type="hidden"] { display: none; }
button, .button {
  display: inline-block;
  min-height: 2.5rem;
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
[hidden] { display: none; }
button.quiet, .button.quiet { background: transparent; border-color: var(--edge); color: var(--text); }
.who button.quiet { min-height: 2rem; padding: .15rem .7rem; font-weight: 400; font-size: inherit; }
button.danger { background: var(--bad); }
input:focus-visible, select:focus-visible, button:focus-visible, a:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}
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
