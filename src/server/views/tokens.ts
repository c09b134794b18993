/** The design tokens of every page, for light and for dark: colors, space, type, corners. */
export const tokens = `:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --sunk: #f0f2f5; --text: #191c22; --soft: #586070; --line: #e2e5ea; --edge: #858e9c;
  --accent: #2857c8; --on-accent: #ffffff; --wash: #eaf0fd;
  --good: #13713f; --warn: #835400; --bad: #ab2d1c; --calm: #2f5fb3; --idle: #586070;
  --good-wash: #e3f4ea; --warn-wash: #fdf0d5; --bad-wash: #fde8e5; --calm-wash: #e6eefb; --idle-wash: #eceff3;
  --bar-good: #2f9e66; --bar-warn: #c98a14; --bar-bad: #c0452b; --rest: #8b93a0;
  --s1: .25rem; --s2: .5rem; --s3: .75rem; --s4: 1rem; --s5: 1.5rem; --s6: 2.25rem;
  --small: .82rem; --body: .95rem; --large: 1.15rem; --title: 1.5rem;
  --round: .5rem; --rounder: .8rem; --shadow: 0 1px 2px rgb(20 24 32 / 6%);
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101217; --card: #181b22; --sunk: #12151b; --text: #e6e9ef; --soft: #a0a9b8; --line: #2a2f3a; --edge: #707a8a;
    --accent: #8fb2ff; --on-accent: #10131a; --wash: #1f2a44;
    --good: #57cb93; --warn: #e6b450; --bad: #f7917f; --calm: #8fb2ff; --idle: #a0a9b8;
    --good-wash: #14301f; --warn-wash: #33270d; --bad-wash: #3a1a15; --calm-wash: #1b2843; --idle-wash: #242933;
    --bar-good: #45b982; --bar-warn: #dba53c; --bar-bad: #ee7a66; --rest: #8d96a5; --shadow: none;
  }
}
`;

/** What all pages share: text, links, fields, buttons, focus. */
export const baseStyle = `${tokens}* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; background: var(--ground); color: var(--text); font: var(--body)/1.5 var(--sans); overflow-wrap: anywhere; }
h1 { margin: 0; font-size: var(--title); line-height: 1.25; letter-spacing: -.01em; }
h2 { margin: 0 0 var(--s3); font-size: var(--large); line-height: 1.3; }
h3 { margin: var(--s4) 0 var(--s2); font-size: var(--body); }
p { margin: 0 0 var(--s3); }
a { color: var(--accent); text-underline-offset: .15em; }
code, pre, .mono { font: .9em var(--mono); }
pre { margin: 0; overflow-x: auto; white-space: pre-wrap; }
label { display: block; font-weight: 600; }
.soft, .hint { color: var(--soft); }
.hint { margin: 0 0 var(--s1); font-size: var(--small); font-weight: 400; }
.violation { margin: 0 0 var(--s1); color: var(--bad); font-size: var(--small); font-weight: 600; }
.field { margin-bottom: var(--s4); }
.field.invalid { padding-left: var(--s3); border-left: 4px solid var(--bad); }
input, select, textarea { max-width: 100%; min-height: 2.5rem; padding: .4rem .6rem; background: var(--card); border: 1px solid var(--edge); border-radius: var(--round); color: inherit; font: inherit; }
.field > input, .field > select, textarea { display: block; width: 100%; }
textarea { resize: vertical; }
input[type="checkbox"] { width: 1.1rem; min-height: 1.1rem; height: 1.1rem; margin: 0; accent-color: var(--accent); }
input[readonly] { background: var(--sunk); }
.invalid input, .invalid select, .invalid textarea { border-color: var(--bad); }
button, .button { display: inline-block; min-height: 2.4rem; padding: .4rem .95rem; background: var(--accent); border: 1px solid transparent; border-radius: var(--round); color: var(--on-accent); font: inherit; font-weight: 600; line-height: 1.4; text-decoration: none; cursor: pointer; }
button:hover, .button:hover { filter: brightness(1.08); }
button.quiet, .button.quiet { background: var(--card); border-color: var(--edge); color: var(--text); }
button.quiet:hover, .button.quiet:hover { background: var(--sunk); filter: none; }
button.danger, .button.danger { background: var(--card); border-color: var(--bad); color: var(--bad); }
button.danger:hover, .button.danger:hover { background: var(--bad-wash); filter: none; }
button.small, .button.small { min-height: 1.9rem; padding: .1rem .65rem; font-size: var(--small); }
:is(input, select, textarea, button, a, summary, pre):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
[hidden], input[type="hidden"] { display: none !important; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.card { padding: var(--s5); background: var(--card); border: 1px solid var(--line); border-radius: var(--rounder); box-shadow: var(--shadow); }
.card > :last-child { margin-bottom: 0; }
.facts { margin: 0; }
.facts > div { display: grid; grid-template-columns: 10rem minmax(0, 1fr); gap: .1rem var(--s4); padding: .4rem 0; }
.facts > div + div { border-top: 1px solid var(--line); }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }
@media (max-width: 40rem) { .facts > div { grid-template-columns: 7.5rem minmax(0, 1fr); } }
.tile { display: inline-grid; place-items: center; flex: none; width: 1.75rem; height: 1.75rem; border-radius: .45rem; font-size: .8rem; font-weight: 700; text-transform: uppercase; }
.tile.big { width: 2.6rem; height: 2.6rem; border-radius: .65rem; font-size: 1.1rem; }
.t0 { background: #dfe9ff; color: #1d3f91; } .t1 { background: #dcf3e6; color: #11552f; } .t2 { background: #fdeccb; color: #6b4300; }
.t3 { background: #fde2de; color: #862314; } .t4 { background: #ece3fb; color: #53309a; } .t5 { background: #d9f1f5; color: #0d5160; }
@media (prefers-color-scheme: dark) {
  .t0 { background: #1f3261; color: #c5d6ff; } .t1 { background: #173d29; color: #b6ecce; } .t2 { background: #47330b; color: #fbdc9c; }
  .t3 { background: #4d211a; color: #fcc9c0; } .t4 { background: #372659; color: #ddcefb; } .t5 { background: #14404a; color: #b4e6f0; }
}
@media (prefers-reduced-motion: no-preference) { button, .button, a { transition: background-color .12s, border-color .12s; } }
`;
