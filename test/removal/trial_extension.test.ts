import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { readFiles } from "../architecture/check.js";
import { allDoors, findDoors } from "../architecture/doors.js";
import { freePort } from "../free_port.js";

const root = join(import.meta.dirname, "../..");

/** What the program is built from. */
const sources = [
  "src",
  "proto",
  "scripts",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "buf.yaml",
];

/** An extension that keeps a guestbook: an RPC, a table, an audit event, two settings, a listener, and a command. */
const guestbook: Readonly<Record<string, string>> = {
  "proto/guestbook/v1/guestbook.proto": `
syntax = "proto3";

package guestbook.v1;

import "nexus/rpc/v1/options.proto";

service GuestbookService {
  rpc Sign(SignRequest) returns (SignResponse) {
    option (nexus.rpc.v1.rpc) = {
      action: "self.read"
      resource: RESOURCE_NONE
      writes: true
      hub: HUB_LEADER
      spoke: SPOKE_HUB
    };
  }
}

message SignRequest {}

message SignResponse {
  string greeting = 1;
}
`,
  "src/ext/guestbook/sign_command.ts": `
import { Command } from "commander";
import { daemonCommand, type Shell } from "../../cli/kit.js";
import { GuestbookService } from "../../gen/guestbook/v1/guestbook_pb.js";

export function signCommand(shell: Shell): Command {
  const command = new Command("sign").description("sign the guestbook");
  return daemonCommand(shell, command, async ({ daemon, call, show }) => {
    const answer = await call("sign the guestbook", daemon.of(GuestbookService).sign, {});
    show(answer, () => answer.greeting + "\\n");
  });
}
`,
  "src/ext/guestbook/guestbook.ts": `
import { create } from "@bufbuild/protobuf";
import type { Core } from "../../core/core.js";
import { ExtensionTable } from "../../core/registry.js";
import { GuestbookService, SignResponseSchema } from "../../gen/guestbook/v1/guestbook_pb.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";

export const guests = new ExtensionTable<string>("guests");

/** Counts who signs, in a table and in the audit log. */
export class Guestbook {
  constructor(
    private readonly core: Pick<Core, "store" | "clock">,
    private readonly greeting: string,
  ) {}

  async sign(principal: string): Promise<string> {
    const { store, clock } = this.core;
    const count = await store.commit((tx) => {
      tx.appendAudit({ timeMs: clock.nowMs(), type: "guestbook.signed", principal });
      return tx.raw((databases) => {
        const table = guests.of(databases);
        const next = (table.getBinary("count")?.[0] ?? 0) + 1;
        table.putSync("count", new Uint8Array([next]));
        return next;
      });
    });
    return this.greeting + " " + count;
  }
}

export function guestbookService(guestbook: Guestbook): ServiceDefinition {
  return defineService(GuestbookService, {
    async sign(_request, { principal }) {
      return create(SignResponseSchema, { greeting: await guestbook.sign(principal.name) });
    },
  });
}
`,
  "src/ext/guestbook/extension.ts": `
import { addresses, ExtensionSettings, text } from "../../config/config.js";
import type { Core } from "../../core/core.js";
import type { Extension, Registry } from "../../core/registry.js";
import { HttpListener } from "../../server/kit.js";
import { Guestbook, guestbookService, guests } from "./guestbook.js";
import { signCommand } from "./sign_command.js";

declare module "../../model/access/audit_event.js" {
  interface ExtensionAuditEvents {
    "guestbook.signed": true;
  }
}

const groups = {
  Guestbook: {
    NEXUS_GUESTBOOK_LISTEN: { kind: addresses({ canClose: true }), default: "off", meaning: "Its addresses." },
    NEXUS_GUESTBOOK_GREETING: { kind: text("text"), default: "hello", meaning: "What it answers." },
  },
} as const;

const settings = new ExtensionSettings(
  groups,
  (reader) => {
    const get = reader.of<typeof groups>();
    return { listen: get("NEXUS_GUESTBOOK_LISTEN"), greeting: get("NEXUS_GUESTBOOK_GREETING") };
  },
  { listener: { name: "guestbook", usesTls: true, isForCallers: false } },
);

export const guestbook: Extension = {
  name: "guestbook",
  settings,
  tables: [guests],
  commands: [
    {
      group: "Operate the daemon",
      name: "sign",
      summary: "sign the guestbook",
      examples: "",
      make: signCommand,
    },
  ],
  open: async (core: Core, registry: Registry) => {
    const { listen: places, greeting } = settings.of(core.config);
    const book = new Guestbook(core, greeting);
    registry.rpc(guestbookService(book));
    const headers = { "content-type": "text/plain" };
    const answer = async () => ({ status: 200, headers, body: await book.sign("anyone") });
    const internalError = { status: 500, headers, body: "" };
    registry.listener(() => ({
      name: "guestbook",
      make: (place) =>
        places.map(
          (listen) => new HttpListener({ ...place, listen, listener: "guestbook", answer, internalError }),
        ),
    }));
  },
};
`,
};

/** As `buf.gen.yaml`, for one proto beside those that are there. */
const template = {
  version: "v2",
  plugins: [
    {
      local: "protoc-gen-es",
      out: "src/gen",
      include_imports: false,
      opt: ["target=ts", "import_extension=js"],
    },
  ],
};

it("an extension adds an RPC, a table, an audit event, a setting, a listener, and a command, and no file of the core changes", {
  timeout: 600_000,
}, async () => {
  const copy = mkdtempSync(join(tmpdir(), "nexus-trial-"));
  for (const path of sources) cpSync(join(root, path), join(copy, path), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  for (const [path, text] of Object.entries(guestbook)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    writeFileSync(join(copy, path), text);
  }
  const list = join(copy, "src/ext/extensions.ts");
  const listed = readFileSync(list, "utf8")
    .replace("\n\n", '\nimport { guestbook } from "./guestbook/extension.js";\n\n')
    .replace("= [\n", "= [\n  guestbook,\n");
  writeFileSync(list, listed);
  const bin = join(root, "node_modules/.bin");
  const env = { PATH: `${bin}:${process.env["PATH"]}`, HOME: copy };
  const generating = ["generate", "--template", JSON.stringify(template), "--path", "proto/guestbook"];
  execFileSync(join(bin, "buf"), generating, { cwd: copy, env, stdio: ["ignore", "pipe", "inherit"] });

  expect(findDoors(readFiles(join(copy, "src"))).filter((path) => !allDoors.has(path))).toEqual([]);
  execFileSync(process.execPath, ["scripts/build.mjs"], {
    cwd: copy,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });

  const address = `127.0.0.1:${await freePort()}`;
  const free = ["HTTP", "BROWSER", "OPS", "CONSOLE"].map((name) => [`NEXUS_${name}_LISTEN`, "127.0.0.1:0"]);
  const settings = {
    ...{ ...env, ...Object.fromEntries(free), NEXUS_DATA_DIR: join(copy, "data") },
    ...{ NEXUS_GUESTBOOK_LISTEN: address, NEXUS_GUESTBOOK_GREETING: "good morning" },
  };
  const nexusd = async (...args: string[]) => {
    const program = [join(copy, "dist/main.js"), ...args];
    return (await promisify(execFile)(process.execPath, program, { cwd: copy, env: settings })).stdout;
  };
  const daemon = spawn(process.execPath, [join(copy, "dist/main.js"), "serve"], {
    cwd: copy,
    env: settings,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(daemon, "exit");
  onTestFinished(async () => {
    daemon.kill("SIGTERM");
    await ended;
  });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    daemon.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes("nexusd is ready")) resolve();
    });
    void ended.then(() => reject(new Error(`the daemon ended: ${output}`)));
  });

  expect(await read(`http://${address}`)).toBe("good morning 1");
  expect(await nexusd("sign")).toBe("good morning 2\n");
  const events = (await nexusd("audit", "--type", "guestbook.signed", "--json")).trim().split("\n");
  expect(events.join("\n").match(/"guestbook\.signed"/g)).toHaveLength(2);
  expect(await nexusd("--help")).toContain("sign the guestbook");
});

async function read(url: string): Promise<string> {
  const [response] = await once(get(url, { agent: false }), "response");
  return (await response.setEncoding("utf8").toArray()).join("");
}
