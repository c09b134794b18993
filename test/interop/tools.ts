import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { launchChromium } from "../launch_chromium.js";
import { run } from "../suites/building.js";
import { page, root, toolsFolder } from "../suites/languages.js";
import type { Results } from "../suites/results.js";
import { type Stage, within } from "../suites/stage.js";
import { AgentProcess } from "./agent_process.js";

const maxToolSeconds = 60;

/** A command of a tool, and what its output must hold; undefined stands for the newest token. */
interface Use {
  readonly row: string;
  readonly check: "unix" | "tcp" | "json";
  readonly command: readonly string[];
  readonly expected: RegExp | undefined;
}

/** The programs by which people look into a gRPC server, as they use them: by reflection, without our files. */
export async function playTools(stage: Stage, hasGoTools: boolean, results: Results): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-interop-"));
  const header = join(folder, "authorization");
  writeFileSync(header, `authorization: Bearer ${stage.place.apiKey}\n`, { mode: 0o600 });
  try {
    for (const { row, check, command, expected } of uses(stage, header, hasGoTools)) {
      await results.check(row, check, async () => {
        const { code, output } = await run({ cwd: root, command }, maxToolSeconds);
        const isRight = expected ? expected.test(output) : output.includes(stage.firstToken);
        if (code !== 0 || !isRight) throw new Error(`${command.join(" ")} ended with ${code}:\n${output}`);
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function uses(stage: Stage, header: string, hasGoTools: boolean): Use[] {
  const { socket, httpUrl } = stage.place;
  const host = stage.grpcHost;
  const method = "nexus.v1.TokenService/GetToken";
  const message = JSON.stringify({ connection_id: stage.first });
  const buf = [join(root, "node_modules/.bin/buf"), "curl", "--http2-prior-knowledge", "--data", message];
  const grpcurl = [join(toolsFolder, "grpcurl"), "-plaintext"];
  const probe = join(toolsFolder, "grpc-health-probe");
  // Arguments are seen by every user of the machine: the key comes from a file, through the environment where it must.
  const withKey = ["sh", "-c", `K=$(cat '${header}') exec "$@"`, "sh"];
  const goUses: Use[] = [
    {
      row: "grpcurl",
      check: "unix",
      command: [...grpcurl, "-unix", "-d", message, socket, method],
      expected: undefined,
    },
    {
      row: "grpcurl",
      check: "tcp",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: grpcurl expands it
      command: [...withKey, ...grpcurl, "-expand-headers", "-H", "${K}", "-d", message, host, method],
      expected: undefined,
    },
    {
      row: "grpc_health_probe",
      check: "unix",
      command: [probe, `-addr=unix:${socket}`],
      expected: /status: SERVING/,
    },
    {
      row: "grpc_health_probe",
      check: "tcp",
      command: [probe, `-addr=${host}`],
      expected: /status: SERVING/,
    },
  ];
  return [
    ...(hasGoTools ? goUses : []),
    {
      row: "buf curl",
      check: "unix",
      command: [...buf, "--protocol", "grpc", "--unix-socket", socket, `http://localhost/${method}`],
      expected: undefined,
    },
    {
      row: "buf curl",
      check: "tcp",
      command: [...buf, "--protocol", "grpc", "--header", `@${header}`, `http://${stage.grpcHost}/${method}`],
      expected: undefined,
    },
    // The HTTP listener has no reflection: the schema is the folder of the contract.
    ...["grpc", "grpcweb", "connect"].map(
      (protocol): Use => ({
        row: `buf curl --schema proto --protocol ${protocol}`,
        check: "tcp",
        command: [
          ...[...buf, "--schema", "proto", "--protocol", protocol],
          ...["--header", `@${header}`, `${httpUrl}/${method}`],
        ],
        expected: undefined,
      }),
    ),
    {
      row: "curl /v1/token/ID",
      check: "json",
      command: ["curl", "-sS", "--fail-with-body", "-H", `@${header}`, `${httpUrl}/v1/token/${stage.first}`],
      expected: undefined,
    },
    {
      row: "curl, JSON of Connect",
      check: "json",
      command: [
        ...["curl", "-sS", "--fail-with-body", "-H", `@${header}`, "-H", "content-type: application/json"],
        ...["-d", JSON.stringify({ connectionId: stage.first }), `${httpUrl}/${method}`],
      ],
      expected: undefined,
    },
  ];
}

/** The page of the example, in a real browser, by gRPC-Web and by Connect. */
export async function playPage(stage: Stage, results: Results): Promise<void> {
  const server = new AgentProcess(page.run, ["0"], {
    NEXUS_ADDRESS: stage.place.httpUrl,
    NEXUS_API_KEY_FILE: stage.keyFile,
  });
  let browser: Browser | undefined;
  try {
    await server.printed(/^open /, 0, maxToolSeconds);
    const origin = server.lines.find((line) => line.startsWith("open "))?.slice("open ".length) ?? "";
    browser = await launchChromium();
    for (const protocol of ["grpc-web", "connect"]) {
      await playTab(stage, browser, `${origin}/?protocol=${protocol}`, `browser page, ${protocol}`, results);
    }
    await results.check("browser page, elsewhere", "refused", async () => {
      const tab = await (browser as Browser).newPage();
      // A page of another origin can neither read the daemon's answer nor that of the page's own server.
      for (const target of [stage.place.httpUrl, origin]) {
        await tab.goto(`${stage.apiUrl}/elsewhere`);
        const answer = await tab.evaluate(async (base) => {
          const headers = { "content-type": "application/json" };
          const url = `${base}/nexus.v1.TokenService/WatchTokens`;
          return fetch(url, { method: "POST", headers, body: "{}" }).then(
            (response) => `answered ${response.status}`,
            () => "refused",
          );
        }, target);
        if (answer !== "refused") throw new Error(`${target} ${answer} a page of another origin`);
      }
      await tab.close();
    });
  } catch (error) {
    results.fail("browser page", "token", (error as Error).message);
  } finally {
    await browser?.close();
    server.signal("SIGKILL");
    await server.exited;
  }
}

async function playTab(
  stage: Stage,
  browser: Browser,
  url: string,
  row: string,
  results: Results,
): Promise<void> {
  const tab = await browser.newPage();
  const shows = async (id: string, text: string) => {
    const line = tab.locator(`[id="${id}"]`).filter({ hasText: text });
    await within(maxToolSeconds, `the page shows "${text}"`, line.waitFor({ timeout: 0 }));
  };
  const isConnected = () =>
    within(maxToolSeconds, "connected", tab.getByText("connected", { exact: true }).waitFor({ timeout: 0 }));
  await results.check(row, "token", async () => {
    await tab.goto(url);
    await shows(stage.first, "first active");
    await shows(stage.second, "second active");
    await isConnected();
  });
  await results.check(row, "refresh", async () => {
    await shows(stage.first, `active, revision ${await stage.refresh(stage.first)}`);
  });
  await results.check(row, "restart", async () => {
    await stage.endDaemon("SIGTERM");
    await within(maxToolSeconds, "disconnected", tab.getByText("disconnected").waitFor({ timeout: 0 }));
    await stage.startDaemon();
    await isConnected();
    await shows(stage.second, `active, revision ${await stage.refresh(stage.second)}`);
  });
  await tab.close();
}
