/** The design tokens of every page, for light and for dark: colors, space, type, corners. */
export const tokens = `:root {
  color-scheme: light dark;
  --ground: light-dark(#f6f7f9, #101217); --card: light-dark(#ffffff, #181b22); --sunk: light-dark(#f0f2f5, #12151b);
  --text: light-dark(#191c22, #e6e9ef); --soft: light-dark(#586070, #a0a9b8); --line: light-dark(#e2e5ea, #2a2f3a);
  --edge: light-dark(#858e9c, #707a8a); --accent: light-dark(#2857c8, #8fb2ff); --on-accent: light-dark(#ffffff, #10131a);
  --wash: light-dark(#eaf0fd, #1f2a44); --good: light-dark(#13713f, #57cb93); --warn: light-dark(#835400, #e6b450);
  --bad: light-dark(#ab2d1c, #f7917f); --calm: light-dark(#2f5fb3, #8fb2ff); --idle: light-dark(#586070, #a0a9b8);
  --good-wash: light-dark(#e3f4ea, #14301f); --warn-wash: light-dark(#fdf0d5, #33270d); --bad-wash: light-dark(#fde8e5, #3a1a15);
  --calm-wash: light-dark(#e6eefb, #1b2843); --idle-wash: light-dark(#eceff3, #242933);
  --bar-good: light-dark(#2f9e66, #45b982); --bar-warn: light-dark(#c98a14, #dba53c); --bar-bad: light-dark(#c0452b, #ee7a66);
  --rest: light-dark(#8b93a0, #8d96a5); --shadow: 0 1px 2px light-dark(rgb(20 24 32 / 6%), transparent);
  --s1: .25rem; --s2: .5rem; --s3: .75rem; --s4: 1rem; --s5: 1.5rem; --s6: 2.25rem;
  --small: .82rem; --body: .95rem; --large: 1.15rem; --title: 1.5rem;
  --round: .5rem; --rounder: .8rem;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
[data-theme="light"] { color-scheme: light; }
[data-theme="dark"] { color-scheme: dark; }
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
button, .button { display: inline-block; min-height: 2.4rem; padding: .44rem .95rem; background: var(--accent); border: 1px solid transparent; border-radius: var(--round); color: var(--on-accent); font: inherit; font-weight: 600; line-height: 1.4; text-decoration: none; cursor: pointer; }
button:hover, .button:hover { filter: brightness(1.08); }
button.quiet, .button.quiet { background: var(--card); border-color: var(--edge); color: var(--text); }
button.quiet:hover, .button.quiet:hover { background: var(--sunk); filter: none; }
button.danger, .button.danger { background: var(--card); border-color: var(--bad); color: var(--bad); }
button.danger:hover, .button.danger:hover { background: var(--bad-wash); filter: none; }
button.small, .button.small { min-height: 1.9rem; padding: .3rem .65rem; font-size: var(--small); }
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
.t0 { background: light-dark(#dfe9ff, #1f3261); color: light-dark(#1d3f91, #c5d6ff); }
.t1 { background: light-dark(#dcf3e6, #173d29); color: light-dark(#11552f, #b6ecce); }
.t2 { background: light-dark(#fdeccb, #47330b); color: light-dark(#6b4300, #fbdc9c); }
.t3 { background: light-dark(#fde2de, #4d211a); color: light-dark(#862314, #fcc9c0); }
.t4 { background: light-dark(#ece3fb, #372659); color: light-dark(#53309a, #ddcefb); }
.t5 { background: light-dark(#d9f1f5, #14404a); color: light-dark(#0d5160, #b4e6f0); }
@media (prefers-reduced-motion: no-preference) { button, .button, a { transition: background-color .12s, border-color .12s; } }
`;
