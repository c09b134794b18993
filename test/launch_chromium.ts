import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { pathOf } from "./needs.js";

const modules = join(import.meta.dirname, "../node_modules");

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Chromium calls its maker all the same. Loopback goes past this proxy, which does not exist; all else ends there.
  "--proxy-server=http://127.0.0.1:9",
];

/** The machine's own Chromium, and where it has none, that of the npm package `@sparticuz/chromium`. */
export async function launchChromium(): Promise<Browser> {
  const home = mkdtempSync(join(tmpdir(), "nexus-chromium-"));
  const remove = () => rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  try {
    const { executablePath, env } = chromiumProgram();
    const all = { ...process.env, HOME: home, TMPDIR: home, ...env } as Record<string, string>;
    const browser = await chromium.launch({ executablePath, args: flags, env: all });
    browser.once("disconnected", remove);
    return browser;
  } catch (error) {
    remove();
    throw error;
  }
}

interface Program {
  readonly executablePath: string;
  readonly env: NodeJS.ProcessEnv;
}

export function chromiumProgram(): Program {
  const executablePath = pathOf("chromium");
  return executablePath === undefined ? packagedChromium() : { executablePath, env: {} };
}

/** Unpacked once for each version, into node_modules/.cache, with the libraries and fonts that a bare machine lacks. */
function packagedChromium(): Program {
  const { version } = JSON.parse(readFileSync(join(modules, "@sparticuz/chromium/package.json"), "utf8"));
  const cache = join(modules, ".cache");
  const folder = join(cache, `chromium-${version}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const work = mkdtempSync(`${folder}-`);
    try {
      unpack(work);
      renameSync(work, folder);
    } catch (error) {
      // Another worker was faster.
      if (!existsSync(folder)) throw error;
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  writeFileSync(join(folder, "fonts.conf"), fontsIn(folder));
  return {
    executablePath: join(folder, "chromium"),
    env: { LD_LIBRARY_PATH: join(folder, "al2023/lib"), FONTCONFIG_FILE: join(folder, "fonts.conf") },
  };
}

/** In a process of its own: the package unpacks into the temporary folder of its process, its libraries only for AWS Lambda. */
function unpack(folder: string): void {
  const script = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();';
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname,
    env: { TMPDIR: folder, AWS_LAMBDA_JS_RUNTIME: "nodejs24.x" },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`@sparticuz/chromium could not be unpacked: ${stderr}`);
}

/** The package's own file keeps its cache in /tmp. */
function fontsIn(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/fonts-cache</cachedir></fontconfig>
`;
}
