import { baseStyle } from "../../../server/views/tokens.js";

/** The style of `/status`, in the page itself: it loads itself again, and must not stand there unstyled. */
export const statusStyle = `${baseStyle}:root { --rest2: light-dark(#8b93a0, #6b7381); --rest3: light-dark(#5f6773, #b6bcc6); }
body { padding: var(--s5) var(--s4) var(--s6); font-variant-numeric: tabular-nums; }
main { max-width: 46rem; margin: 0 auto; }
header, section { margin-bottom: var(--s4); }
header { display: flex; gap: var(--s4); align-items: center; border-left-width: 5px; }
header.ready { border-left-color: var(--good); }
header.attention { border-left-color: var(--warn); }
header.not_ready, header.draining { border-left-color: var(--bad); }
header p { margin: 0; }
.mark { display: grid; place-items: center; flex: none; width: 2.6rem; height: 2.6rem; border: 2px solid currentColor; border-radius: 50%; font-weight: 600; }
.mark svg { width: 1.2rem; }
.ready .mark { color: var(--good); }
.attention .mark, .warn { color: var(--warn); }
.not_ready .mark, .draining .mark, .bad { color: var(--bad); }
small { color: var(--soft); font-size: var(--small); font-weight: 400; }
.bar { display: block; width: 100%; height: .7rem; margin-bottom: var(--s4); border-radius: .35rem; }
.bar rect { stroke-width: 3px; vector-effect: non-scaling-stroke; }
.states { display: grid; grid-template-columns: repeat(6, 1fr); gap: var(--s3) var(--s4); margin: 0; padding: 0; list-style: none; }
.states b { display: block; font-size: 1.3rem; line-height: 1.3; overflow-wrap: normal; }
.states .none b { color: var(--soft); font-weight: 400; }
.states i { display: inline-block; width: .65rem; height: .65rem; margin-right: .35rem; border-radius: 50%; }
.states span { color: var(--soft); font-size: var(--small); white-space: nowrap; }
.is-active { fill: var(--good); stroke: var(--good); background: var(--good); }
.is-attention { fill: var(--warn); stroke: var(--warn); background: var(--warn); }
.is-pending { fill: var(--calm); stroke: var(--calm); background: var(--calm); }
.is-expired { fill: var(--rest); stroke: var(--rest); background: var(--rest); }
.is-failed { fill: var(--rest2); stroke: var(--rest2); background: var(--rest2); }
.is-revoked { fill: var(--rest3); stroke: var(--rest3); background: var(--rest3); }
.note { margin-top: var(--s4); padding-top: var(--s3); border-top: 1px solid var(--line); }
footer { color: var(--soft); font-size: var(--small); }
@media (max-width: 36rem) { .states { grid-template-columns: repeat(3, 1fr); } }
`;
