import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { consentVisits, consentWorld } from "../../../daemon/consent_pages.js";
import { ScriptedWorld } from "../../../daemon/scripted_world.js";
import { launchChromium } from "../../../launch_chromium.js";
import { json } from "../../../oauth/scripted_server.js";
import { everyLook } from "../../../page_faults.js";
import {
  consolePaths,
  openConsent,
  outsidePaths,
  signedIn,
  tryRequest,
  withCallers,
  withHeldRequests,
} from "./pages.js";
import { empty, everyState, hostile, many, SeededDaemon, withPolicy } from "./seeded_daemon.js";

// Makes a picture of every page: `npm run screenshots -- --out DIR [--only WORD]`.

const { values } = parseArgs({
  options: { out: { type: "string", default: "screenshots" }, only: { type: "string", default: "" } },
});
const wanted = (file: string): boolean => file.includes(values.only);
mkdirSync(values.out, { recursive: true });
const chromium = await launchChromium();
const seeds = { console: everyState, hostile, empty, few: many(3), many: many(300), crowd: many(10_000) };
/** What differs by the number of connections. */
const counted = ["overview", "connections", "connections-attention", "providers"];
for (const [name, seed] of Object.entries(seeds)) {
  if (/^(consent|lived)-/.test(values.only)) continue;
  const isCounted = ["few", "many", "crowd"].includes(name);
  const daemon = await SeededDaemon.seeded(seed, name === "console" ? withPolicy() : {});
  await withCallers(daemon.clients, daemon.place.httpUrl);
  const { connections } = await daemon.clients.connections.listConnections({});
  const troubled = connections.find(({ problem }) => problem);
  const ofGithub = connections.find(({ providerName, problem }) => providerName === "github" && !problem);
  if (name === "console" && ofGithub) await withHeldRequests(daemon.clients, ofGithub.id);
  const paths = consolePaths(troubled);
  for (const [look, options] of Object.entries(everyLook)) {
    const context = await chromium.newContext(options);
    const page = await signedIn(context, daemon.clients);
    for (const [word, path] of Object.entries(paths)) {
      const file = `${name}-${word}-${look}.png`;
      if (!wanted(file) || (!troubled && path.includes("//"))) continue;
      if (isCounted && !counted.includes(word)) continue;
      await page.goto(new URL(path, page.url()).href);
      await page.screenshot({ path: join(values.out, file), fullPage: true });
    }
    if (name === "console" && wanted(`console-rules-tried-${look}`)) {
      await tryRequest(page);
      await page.screenshot({ path: join(values.out, `console-rules-tried-${look}.png`), fullPage: true });
    }
    if (!troubled || isCounted || !wanted(`${name}-consent-${look}`)) continue;
    await openConsent(page, troubled?.id ?? "");
    await page.screenshot({ path: join(values.out, `${name}-consent-${look}.png`), fullPage: true });
    await context.clearCookies();
    for (const [word, path] of Object.entries(outsidePaths)) {
      await page.goto(new URL(path, page.url()).href);
      await page.screenshot({ path: join(values.out, `${name}-${word}-${look}.png`), fullPage: true });
    }
    await context.close();
  }
  await daemon.close();
}
if (!/^(consent|console)-/.test(values.only)) await picturesOfADay();
const world = await consentWorld();
const visits = await consentVisits(world);
for (const [look, options] of Object.entries(everyLook)) {
  const context = await chromium.newContext(options);
  const page = await context.newPage();
  for (const [word, visit] of Object.entries(visits)) {
    if (!wanted(`consent-${word}-${look}`)) continue;
    await visit(page);
    await page.screenshot({ path: join(values.out, `consent-${word}-${look}.png`), fullPage: true });
  }
  await context.close();
}
await world.close();
await chromium.close();
/** The overview and a connection of a daemon that ran for a day, whose providers were away for a while: the picture of the README. */
async function picturesOfADay(): Promise<void> {
  const lived = await ScriptedWorld.make();
  const ids: string[] = [];
  for (const name of ["github", "google", "slack"]) {
    const providerId = await lived.register({ name });
    for (const user of ["ada", "grace", "alan"]) ids.push(await lived.connect(providerId, { user_id: user }));
  }
  const answer = lived.answerToken;
  for (let quarter = 0; quarter < 4 * 24; quarter++) {
    const isAway = quarter > 60 && quarter < 64;
    lived.answerToken = isAway ? () => json({ error: "temporarily_unavailable" }, 503) : answer;
    lived.clock.advance(15 * 60_000);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  lived.answerToken = () => json({ error: "invalid_grant" }, 400);
  await lived.refresh(ids[4] ?? "");
  for (const [look, options] of Object.entries(everyLook)) {
    const context = await chromium.newContext(options);
    const page = await signedIn(context, lived.clients);
    for (const [word, path] of Object.entries({
      overview: "/overview",
      connection: `/connections/${ids[4]}`,
    })) {
      if (!wanted(`lived-${word}-${look}`)) continue;
      await page.goto(new URL(path, page.url()).href);
      await page.screenshot({ path: join(values.out, `lived-${word}-${look}.png`), fullPage: true });
    }
    await context.close();
  }
  await lived.close();
}

process.stdout.write(`the pictures are in ${values.out}\n`);
process.exit(0);
