import { baseStyle } from "../views/tokens.js";

/** The one stylesheet of the browser listener, `/style.css`. */
export const pageStyle = `${baseStyle}body { min-height: 100svh; display: grid; place-items: center; padding: var(--s5) var(--s4); line-height: 1.55; }
main { width: 100%; max-width: 31rem; padding: var(--s6); background: var(--card); border: 1px solid var(--line); border-radius: 16px; box-shadow: var(--shadow); }
.top { display: flex; gap: var(--s3); align-items: center; margin-bottom: var(--s4); }
.top:empty { display: none; }
.mark { display: grid; place-items: center; flex: none; width: 2.6rem; height: 2.6rem; border-radius: 50%; font-size: 1.2rem; font-weight: 700; }
.mark svg { width: 1.3rem; height: 1.3rem; }
.done { background: var(--good-wash); color: var(--good); }
.stopped { background: var(--bad-wash); color: var(--bad); }
h1 { margin-bottom: var(--s3); }
main > :last-child { margin-bottom: 0; }
.operator { margin-top: var(--s5); padding: var(--s4); background: var(--sunk); border-radius: var(--round); font-size: var(--small); white-space: pre-line; }
.operator h2 { margin-bottom: var(--s1); font-size: inherit; }
.operator p { margin: 0; }
.flag { white-space: nowrap; }
.prose { white-space: pre-line; }
.note { margin-top: var(--s4); color: var(--soft); font-size: var(--small); }
.bad { color: var(--bad); }
form { margin: var(--s5) 0; }
input, select { min-height: 2.75rem; }
main button, main .button { display: block; width: 100%; min-height: 2.9rem; padding: .6rem 1rem; text-align: center; }
.actions { display: grid; gap: var(--s2); margin-top: var(--s5); }
.actions form { margin: 0; }
.facts { margin: var(--s4) 0; }
.facts > div { grid-template-columns: 7.5rem minmax(0, 1fr); }
.scopes { margin: 0 0 var(--s4); padding: 0; list-style: none; }
.scopes li { padding: var(--s2) 0; border-top: 1px solid var(--line); }
.scopes li:last-child { border-bottom: 1px solid var(--line); }
.scopes code { color: var(--soft); }
.summary { margin: var(--s4) 0; padding: var(--s4); background: var(--bad-wash); border-radius: var(--round); }
.summary:focus { outline: none; }
.summary h2 { margin: 0 0 var(--s1); font-size: var(--body); }
.summary ul { margin: 0; padding-left: 1.1rem; }
.summary a { color: var(--bad); }
@media (max-width: 30rem) {
  body { padding: var(--s3); place-items: start center; }
  main { padding: var(--s5) var(--s4); }
}
`;
