import { commonStyle } from "../../../server/pages/common_style.js";
import { roomStyle } from "./room_style.js";

/** The one stylesheet of the console. */
export const consoleStyle = `${commonStyle}:root { --warn: #8a5a00; --wash: #eef2fb; }
@media (prefers-color-scheme: dark) { :root { --warn: #e2b04a; --wash: #232a38; } }
body { display: flow-root; }
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
h1 { margin: 0 0 1rem; }
h2 { margin: 1.75rem 0 .75rem; font-size: 1.1rem; }
p { margin: 0 0 .75rem; }
code { font-size: .9em; }
.soft { color: var(--soft); }
.notice, .problem { padding: .75rem 1rem; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--good); border-radius: .5rem; }
.problem { border-left-color: var(--bad); }
.card { padding: 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.card > p:last-child { margin-bottom: 0; }
.actions { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.field { margin-bottom: 1rem; }
.hint { font-weight: 400; }
button, .button { display: inline-block; min-height: 2.5rem; }
button.quiet, .button.quiet { background: transparent; border-color: var(--edge); color: var(--text); }
.who button.quiet { min-height: 2rem; padding: .15rem .7rem; font-weight: 400; font-size: inherit; }
button.danger { background: var(--bad); }
.lead { margin-bottom: 1rem; }
.live { color: var(--soft); font-size: .85rem; font-weight: 400; }
.search { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: .75rem; }
.search input[type="search"] { flex: 1 1 16rem; max-width: 28rem; min-width: 0; }
.tabs ul { display: flex; flex-wrap: wrap; gap: .25rem; margin: 0 0 1rem; padding: 0; list-style: none; }
.tabs a { display: block; padding: .25rem .7rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--card); color: inherit; font-size: .9rem; text-decoration: none; }
.tabs a:hover { border-color: var(--edge); }
.tabs a[aria-current] { border-color: var(--accent); background: var(--wash); font-weight: 600; }
.count { color: var(--soft); font-weight: 400; font-variant-numeric: tabular-nums; }
.rows { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; font-size: .92rem; }
.rows th, .rows td { padding: .6rem .75rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
.rows thead th { border-top: 0; color: var(--soft); font-size: .8rem; font-weight: 600; }
.rows tbody th { font-weight: 600; }
.rows time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.state { display: inline-block; padding: .05rem .55rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .82rem; font-weight: 600; }
.good { color: var(--good); }
.warn { color: var(--warn); }
.bad { color: var(--bad); }
.idle { color: var(--soft); }
.why { margin: .35rem 0 0; font-size: .85rem; }
.tag, .tags li { display: inline-block; margin: 0 .2rem .2rem 0; padding: .05rem .45rem; background: var(--ground); border-radius: .35rem; font-size: .82rem; }
.tags { margin: 0; padding: 0; list-style: none; }
.facts { margin: 0 0 1rem; padding: .25rem 1.25rem; }
.facts > div { display: grid; grid-template-columns: 9rem 1fr; gap: .5rem 1rem; padding: .55rem 0; border-top: 1px solid var(--line); }
.facts > div:first-child { border-top: 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; min-width: 0; }
.narrow { max-width: 40rem; }
.narrow input, .narrow select { width: 100%; }
.narrow .hint { margin: 0 0 .25rem; }
.copied { padding: .75rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.pager { margin-top: 1rem; }
.changed, .changed .card { animation: changed 2s ease-out; }
@keyframes changed { from { background: var(--wash); } }
@media (prefers-reduced-motion: reduce) { .changed { animation: none; } }
@media (min-width: 60.01rem) {
  .connections { table-layout: fixed; }
  .connections th:nth-child(1) { width: 13%; }
  .connections th:nth-child(2) { width: 11%; }
  .connections th:nth-child(3) { width: 15%; }
  .connections th:nth-child(4) { width: 22%; }
  .connections th:nth-child(5) { width: 15%; }
}
@media (max-width: 60rem) {
  .rows, .rows tbody, .rows tr, .rows th, .rows td { display: block; }
  .rows { border: 0; background: none; }
  .rows thead { display: none; }
  .rows tr { margin-bottom: .75rem; padding: .5rem 0; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
  .rows th, .rows td { display: grid; grid-template-columns: 7.5rem 1fr; gap: .1rem .75rem; padding: .3rem 1rem; border: 0; }
  .rows th::before, .rows td::before { content: attr(data-label); color: var(--soft); font-size: .85rem; font-weight: 400; }
  .rows th > *, .rows td > * { grid-column: 2; justify-self: start; }
  .rows td:has(> .none) { display: none; }
}
@media (max-width: 40rem) {
  main { padding: 1rem .75rem; }
  .top { padding: .5rem .75rem; }
  .facts > div { grid-template-columns: 1fr; gap: .1rem; }
}
${roomStyle}`;
