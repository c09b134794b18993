/** The one stylesheet, `/style.css`. */
export const pageStyle = `:root {
  color-scheme: light dark;
  --ground: #f4f5f7;
  --card: #ffffff;
  --text: #1d2129;
  --soft: #5c6470;
  --line: #e1e4e9;
  --good: #1a7f4b;
  --bad: #b3452c;
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
  }
}
* { box-sizing: border-box; }
body {
  margin: 0;
  min-height: 100vh;
  min-height: 100svh;
  display: grid;
  place-items: center;
  padding: 1.25rem;
  background: var(--ground);
  color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main {
  width: 100%;
  max-width: 26rem;
  padding: 2.25rem 1.75rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 1rem;
  text-align: center;
  overflow-wrap: anywhere;
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
.done { color: var(--good); }
.stopped { color: var(--bad); }
h1 { margin: 0 0 .75rem; font-size: 1.45rem; line-height: 1.25; }
p { margin: 0 0 .6rem; }
p:last-child { margin-bottom: 0; }
.reason { margin-top: 1.5rem; color: var(--soft); font-size: .85rem; }
`;
