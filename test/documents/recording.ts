// Records the README's terminal: `npm run recording` runs the commands at a real terminal before a live daemon, whose provider is the one of
// the tests, and writes docs/images/terminal.svg. It needs `script` (bsdutils).
import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { World } from "../daemon/harness.js";
import { consent } from "../fakes/browser.js";
import { temporaryFolder } from "../temporary_folder.js";

const root = join(import.meta.dirname, "../..");
const columns = 96;
const lineHeight = 20;
const wide = new RegExp(`.{1,${columns}}`, "g");
/** After each command that many seconds pass before its output, and before the next command. */
const pauseS = 1.2;

const commands = [
  "nexusd connect github --user ada",
  "nexusd connections list",
  "nexusd token github/ada --format header",
  "nexusd audit list",
];

/** Runs a command line in a terminal of its own. The user consents as soon as a link is shown. */
async function atTerminal(world: World, bin: string, line: string): Promise<string> {
  const env = {
    PATH: `${bin}:${process.env["PATH"]}`,
    HOME: bin,
    TERM: "xterm-256color",
    // With a display `connect` opens a browser, which is the one below.
    DISPLAY: ":0",
    NEXUS_DATA_DIR: world.place.config.dataDir,
  };
  const child = spawn("script", ["-qec", `stty cols ${columns}; ${line}`, "/dev/null"], { env });
  let shown = "";
  let consented: Promise<unknown> | undefined;
  child.stdout.on("data", (chunk) => {
    shown += chunk;
    const [, link] = /(http:\S+\/auth\/start\S+)\s/.exec(shown) ?? [];
    if (link !== undefined) consented ??= consent(world.browser, link);
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  await consented;
  if (code !== 0) throw new Error(`${line} ended with ${code}: ${shown}`);
  // A line of progress goes when the work is done.
  const lines = shown.split("\n").map((line) => line.split("\r\u001b[2K").at(-1));
  return lines.join("\n").replaceAll("\r", "").trimEnd();
}

const inXml = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(/[^\P{C}\n]/gu, "");

const styles: Readonly<Record<string, string>> = { 1: "bold", 31: "red", 32: "green", 33: "yellow" };

/** The colors and bold of a line as spans. */
function spansOf(line: string): string {
  const [plain = "", ...styled] = line.split("\u001b[");
  const spans = styled.map((piece) => {
    const [, code = "", text = ""] = /^(\d+)m(.*)$/.exec(piece) ?? [];
    return `<tspan class="${styles[code] ?? ""}">${inXml(text)}</tspan>`;
  });
  return [inXml(plain), ...spans].join("");
}

const bin = temporaryFolder();
mkdirSync(bin, { recursive: true });
symlinkSync(join(root, "dist/main.js"), join(bin, "nexusd"));
symlinkSync("/bin/true", join(bin, "xdg-open"));
const world = await World.make();
await world.register("github");
const texts: string[] = [];
let seconds = 0.4;
const show = (line: string): void => {
  const y = (texts.length + 2) * lineHeight;
  texts.push(`<text x="16" y="${y}" style="animation-delay:${seconds.toFixed(1)}s">${line}</text>`);
};
for (const command of commands) {
  show(`<tspan class="green">$</tspan> <tspan class="bold">${inXml(command)}</tspan>`);
  seconds += pauseS;
  const lines = (await atTerminal(world, bin, command)).split("\n");
  // As a terminal wraps them; a line with colors is a table, which fits.
  const wrapped = lines.flatMap((line) => (line.includes("\u001b") ? line : (line.match(wide) ?? "")));
  for (const line of wrapped) show(spansOf(line));
  seconds += pauseS;
}
await world.close();
const height = (texts.length + 3) * lineHeight;
const width = columns * 8.5 + 32;
writeFileSync(
  join(root, "docs/images/terminal.svg"),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="A terminal: ${inXml(commands.join("; "))}">
<style>
rect { fill: #0d1117 }
text { fill: #c9d1d9; font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; white-space: pre; opacity: 0; animation: show 0.01s forwards }
.bold { font-weight: 600; fill: #f0f6fc } .green { fill: #3fb950 } .yellow { fill: #d29922 } .red { fill: #f85149 }
@keyframes show { to { opacity: 1 } }
@media (prefers-reduced-motion: reduce) { text { animation: none; opacity: 1 } }
</style>
<rect width="100%" height="100%" rx="8"/>
${texts.join("\n")}
</svg>
`,
);
process.stdout.write("the recording is in docs/images/terminal.svg\n");
process.exit(0);
