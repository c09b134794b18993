// Writes docs/settings.md from the table of settings: `tsx scripts/settings_page.ts [folder]`, in this folder by default.
// `npm run generate` calls it, and `npm run check` compares.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allSettings, defaultOf, meaningOf, type Setting } from "../src/config/settings.js";
import { extensions } from "../src/ext/extensions.js";

const introduction = `# Settings

<!-- Generated from src/config/settings.ts and the settings of src/ext/extensions.ts by \`npm run generate\`: edit the tables there. -->

Set an environment variable or a flag of \`nexusd serve\`; settings of the group Commands are flags of the other commands. A flag overrides the variable.
nexusd trims values; an empty value is unset. Secrets have no flag, because other users can see flags.

The data folder is \`$XDG_DATA_HOME/nexusd\` on Linux, by default \`~/.local/share/nexusd\`, and \`~/Library/Application Support/nexusd\` on macOS. Listener addresses are
\`host:port\`, \`[IPv6]:port\`, and \`unix:path\`, comma-separated. One that other machines can reach needs TLS, unless \`--insecure\` names the listener.
`;

export function settingsPage(): string {
  const settings = allSettings(extensions);
  const groups = [...new Set(settings.map(({ group }) => group))];
  const first = settings.filter(({ isFirst }) => isFirst);
  const ofGroup = (group: string): string =>
    section(
      group,
      settings.filter((setting) => setting.group === group),
    );
  const names = first.map(({ name }) => `\`${name}\``);
  return [introduction, `Start with these ten: ${names.join(", ")}.\n`, ...groups.map(ofGroup)].join("\n");
}

function section(title: string, rows: readonly Setting[]): string {
  const lines = rows.map((setting) => {
    const { name, flag } = setting;
    const cells = [
      flag === undefined ? `\`${name}\`` : `\`${name}\`<br>\`${flag}\``,
      asMarkdown(defaultOf(setting)),
      asMarkdown(meaningOf(setting)),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [`## ${title}\n`, "| setting | default | meaning |", "| --- | --- | --- |", ...lines, ""].join("\n");
}

/** What Markdown would take for something else. */
function asMarkdown(text: string): string {
  return text.replace(/[<|*]/g, "\\$&");
}

if (process.argv[1] === import.meta.filename) {
  const folder = join(process.argv[2] ?? ".", "docs");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "settings.md"), settingsPage());
}
