import { baseStyle } from "../views/tokens.js";

/** The one stylesheet of the browser listener, `/style.css`. */
export const pageStyle = `${baseStyle}body { min-height: 100svh; display: grid; place-items: center; padding: 1.25rem; line-height: 1.55; }
main {
  width: 100%;
  max-width: 27rem;
  padding: 2.25rem 1.9rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 16px;
  box-shadow: var(--shadow);
  text-align: center;
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
h1 { margin: 0 0 .75rem; }
p { margin: 0 0 .6rem; }
p:last-child { margin-bottom: 0; }
.reason, .operator { margin-top: 1.5rem; color: var(--soft); font-size: .85rem; }
.operator { text-align: left; white-space: pre-line; }
.flag { white-space: nowrap; }
.form { text-align: left; max-width: 30rem; }
.prose { white-space: pre-line; }
.note { margin-top: 1.25rem; color: var(--soft); font-size: .85rem; }
h1 + .note { margin: -.5rem 0 .75rem; }
.field { margin: 1.4rem 0; }
label { margin-bottom: .15rem; }
.required { color: var(--bad); }
.optional { color: var(--soft); font-weight: 400; }
.about, .hint, .violation { margin-bottom: .35rem; font-size: .9rem; }
.about { color: var(--soft); }
.about { white-space: pre-line; }
.form .hint { font-size: .85rem; }
.form > .tile { margin-bottom: .9rem; }
.tile + h1 { margin-top: .9rem; }
input, select { width: 100%; min-height: 2.75rem; padding: .5rem .7rem; }
input[readonly] { color: var(--soft); }
button, .button { display: block; width: 100%; min-height: 2.9rem; margin-top: .35rem; padding: .6rem 1rem; }
.button { margin-top: 1.25rem; text-align: center; }
.quiet { background: none; border-color: var(--edge); color: var(--accent); }
code { font: .92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.scopes { margin: 0 0 .9rem; padding-left: 1.1rem; }
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
@media (max-width: 30rem) {
  body { padding: .75rem; place-items: start center; }
  main { padding: 1.5rem 1.1rem; }
}
`;
