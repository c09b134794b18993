// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of manifests look like this
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, it } from "vitest";
import { NotificationService } from "../../src/gen/nexus/v1/notification_pb.js";
import { temporaryFolder } from "../temporary_folder.js";
import { TestDaemon } from "./harness.js";

it("gives no program that the daemon runs a variable of the providers file", async () => {
  const folder = temporaryFolder();
  const [manifest, keySaw, noticeSaw] = ["manifest.yaml", "key.env", "notice.env"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(
    manifest,
    "providers:\n- {name: acme, client_id: c, client_secret: 'x${ACME_SECRET}$${COST}', auth_url: 'https://acme.example/a', token_url: 'https://acme.example/t'}\n",
  );
  const key = Buffer.alloc(32, 7).toString("base64");
  const daemon = await TestDaemon.start({
    ...{ ACME_SECRET: "s3cret", COST: "5", GIVEN: "yes", PATH: process.env["PATH"] },
    NEXUS_PROVIDERS_FILE: manifest,
    NEXUS_ENCRYPTION_KEY_COMMAND: `sh -c 'env > ${keySaw}; echo ${key}'`,
    NEXUS_NOTIFY_COMMAND: `sh -c 'env > ${noticeSaw}'`,
  });
  const createConnection = () => connect(daemon.place.socket);
  const transport = createGrpcTransport({ baseUrl: "http://localhost", nodeOptions: { createConnection } });
  await createClient(NotificationService, transport).testReceivers({});
  await daemon.close();
  for (const path of [keySaw, noticeSaw]) {
    const seen = readFileSync(path, "utf8");
    expect(seen).toMatch(/^GIVEN=yes$/m);
    expect(seen).toMatch(/^COST=5$/m);
    expect(seen).not.toContain("s3cret");
  }
});
