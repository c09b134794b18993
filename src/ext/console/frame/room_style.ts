/** The part of the stylesheet for forms, lists and drawings of the rooms. */
export const roomStyle = `:root { --calm: #3f68b5; --rest: #8b93a0; --bar-good: #2f9e66; --bar-warn: #c98a14; --bar-bad: #c0452b; }
@media (prefers-color-scheme: dark) { :root { --calm: #8ab4f8; --rest: #8d96a5; --bar-good: #4cc38a; --bar-warn: #e2b04a; --bar-bad: #f0846b; } }
section + section, section.card { margin-top: 1rem; }
section.card > h2:first-child, .narrow > p:first-child { margin-top: 0; }
.heading { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .5rem 1rem; margin-bottom: .75rem; }
.heading h2 { margin: 0; }
.narrow > .problem { margin-top: 0; }
textarea { display: block; width: 100%; resize: vertical; }
.field > input, .field > select { width: 100%; }
.field label::first-letter { text-transform: uppercase; }
.field .hint, .field .violation { margin: 0 0 .25rem; }
fieldset { margin: 0 0 1rem; padding: .75rem 1rem 0; border: 1px solid var(--line); border-radius: .5rem; }
legend { padding: 0 .35rem; font-weight: 600; }
.problem ul { margin: 0; padding-left: 1.2rem; }
.problem p { margin: 0 0 .25rem; }
.copy { display: flex; gap: .5rem; }
.copy input { flex: 1 1 auto; min-width: 0; }
.copy button { flex: none; }
.secret { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.notes { margin: .75rem 0 0; padding-left: 1.2rem; }
.plain-list, .tiles, .legend, .catalogue { margin: 0; padding: 0; list-style: none; }
.plain-list li + li { margin-top: .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
.plain-list p, .word { margin: 0; }
.summary-card { border-left-width: 6px; }
.summary-card.good { border-left-color: var(--good); }
.summary-card.warn { border-left-color: var(--warn); }
.summary-card.bad { border-left-color: var(--bad); }
.summary-card, .summary-card a { color: var(--text); }
.word { font-size: 1.15rem; }
.short-facts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: .75rem 0 0; }
.short-facts dt { color: var(--soft); font-size: .85rem; }
.short-facts dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; }
.tiles li { padding: .7rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; color: var(--soft); font-size: .9rem; }
.tiles b { display: block; color: var(--text); font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles .good b { color: var(--good); }
.tiles .warn b { color: var(--warn); }
.tiles .calm b { color: var(--calm); }
.tiles .rest b { color: var(--soft); font-weight: 400; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-bottom: .6rem; font-size: .9rem; }
.legend i { display: inline-block; width: .7rem; height: .7rem; margin-right: .4rem; border-radius: .15rem; }
.refreshed { fill: var(--bar-good); background: var(--bar-good); }
.retried { fill: var(--bar-warn); background: var(--bar-warn); }
.failed { fill: var(--bar-bad); background: var(--bar-bad); }
.unknown { fill: var(--line); background: var(--line); }
.ends { fill: var(--rest); }
.chart svg { display: block; width: 100%; height: 9rem; border-bottom: 1px solid var(--edge); }
.axis { display: flex; justify-content: space-between; margin-top: .25rem; color: var(--soft); font-size: .8rem; font-variant-numeric: tabular-nums; }
details { margin-top: .75rem; }
summary { cursor: pointer; font-weight: 600; }
details > .numbers { margin-top: .75rem; }
.numbers { width: 100%; border-collapse: collapse; font-size: .92rem; }
.numbers th, .numbers td { padding: .45rem .75rem .45rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: middle; font-variant-numeric: tabular-nums; }
.numbers thead th { border-top: 0; overflow-wrap: normal; color: var(--soft); font-size: .8rem; vertical-align: bottom; }
.bar { width: 30%; min-width: 6rem; vertical-align: middle; }
.bar svg { display: block; width: 100%; height: .7rem; border-radius: .3rem; background: var(--ground); }
.filters { margin: 0 0 1rem; }
.inline-fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 0 1rem; align-items: end; margin-top: .75rem; }
.inline-fields .actions { margin-bottom: 1rem; }
.catalogue { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .5rem; margin-bottom: 1rem; }
.catalogue a { display: block; height: 100%; padding: .6rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; color: inherit; text-decoration: none; }
.catalogue a:hover { border-color: var(--accent); }
.catalogue code, .catalogue .soft { display: block; color: var(--soft); font-size: .82rem; }
.rows caption { text-align: left; }
.rows .button { min-height: 2rem; padding: .15rem .7rem; font-size: .9rem; }
code.soft { font-size: .8rem; }
@media (max-width: 60rem) {
  .bar { min-width: 3rem; }
  .rows td:has(> div:empty) { display: none; }
}
`;
