import { tokens } from "../../../server/views/tokens.js";

/** The style of `/status`, in the page itself: it loads itself again, and must not stand there unstyled. */
export const statusStyle = `${tokens}:root { --rest2: #8b93a0; --rest3: #5f6773; }
@media (prefers-color-scheme: dark) { :root { --rest2: #6b7381; --rest3: #b6bcc6; } }
* { box-sizing: border-box; }
body {
  margin: 0;
  padding: 1.5rem 1rem 2.5rem;
  background: var(--ground);
  color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 46rem; margin: 0 auto; overflow-wrap: anywhere; }
header, section { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1.1rem 1.3rem; margin-bottom: .9rem; }
header { display: flex; gap: 1rem; align-items: center; border-left-width: 6px; }
header.ready { border-left-color: var(--good); }
header.attention { border-left-color: var(--warn); }
header.not_ready, header.draining { border-left-color: var(--bad); }
.mark { flex: none; width: 2.6rem; height: 2.6rem; border: 2px solid currentColor; border-radius: 50%; text-align: center; font-size: 1.2rem; font-weight: 600; line-height: 2.4rem; }
.ready .mark, .good { color: var(--good); }
.attention .mark, .warn { color: var(--warn); }
.not_ready .mark, .draining .mark, .bad { color: var(--bad); }
h1 { margin: 0; font-size: 1.35rem; line-height: 1.25; }
h2 { margin: 0 0 .7rem; font-size: 1rem; }
h2 small, .soft, footer { color: var(--soft); font-weight: 400; }
p { margin: 0; }
p + p { margin-top: .3rem; }
.soft, footer { font-size: .875rem; }
svg { display: block; width: 100%; height: .7rem; margin-bottom: .9rem; border-radius: .35rem; background: var(--line); }
.mark svg { display: inline-block; width: 1em; height: 1em; margin: 0; border-radius: 0; background: none; vertical-align: -.125em; }
ul { list-style: none; margin: 0; padding: 0; }
.states { display: grid; grid-template-columns: 1.4fr repeat(5, 1fr); gap: .6rem 1.1rem; }
.states b { display: block; font-size: 1.3rem; line-height: 1.3; font-weight: 600; overflow-wrap: normal; }
.states .none b { color: var(--soft); font-weight: 400; }
.states i { display: inline-block; width: .65rem; height: .65rem; margin-right: .35rem; border-radius: 50%; }
.states span { font-size: .875rem; color: var(--soft); white-space: nowrap; }
.active { fill: var(--good); background: var(--good); }
.attention-state { fill: var(--warn); background: var(--warn); }
.pending { fill: var(--calm); background: var(--calm); }
.expired { fill: var(--rest); background: var(--rest); }
.failed { fill: var(--rest2); background: var(--rest2); }
.revoked { fill: var(--rest3); background: var(--rest3); }
.note { margin-top: .9rem; padding-top: .7rem; border-top: 1px solid var(--line); }
.failing li + li { margin-top: .8rem; padding-top: .8rem; border-top: 1px solid var(--line); }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
th { text-align: left; font-weight: 400; font-size: .875rem; color: var(--soft); }
th, td { padding: .3rem .8rem .3rem 0; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
tbody tr { border-top: 1px solid var(--line); }
td:first-child { white-space: nowrap; width: 7rem; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { margin: 1.1rem .2rem 0; }
a { color: var(--accent); }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 36rem) {
  body { padding: .75rem .6rem 1.5rem; }
  header, section { padding: .9rem 1rem; }
  .states { grid-template-columns: 1.2fr 1fr 1fr; gap: .9rem 1.1rem; }
  .states b { font-size: 1.15rem; }
}
`;
