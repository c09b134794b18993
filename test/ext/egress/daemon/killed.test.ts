import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { placeholderOf } from "../../../../src/catalogue/catalogue.js";
import { run } from "../../../../src/cli/program.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { started } from "../../../daemon/daemon_at.js";
import { DaemonProcesses } from "../../../daemon/daemon_process.js";
import { Place } from "../../../daemon/harness.js";
import { ProcessAt } from "../../../daemon/process_at.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { freePort } from "../../../free_port.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { certificateIdentity, hubSettings, spokeSettings } from "../../spoke/daemon/spokes.js";
import { ApiStandIn } from "../api_stand_in.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { connected, key, settingsFor } from "./listener_world.js";

describe("a daemon that is killed", () => {
  const lanes = [1, 2, 1, 2, 1, 2] as const;
  const headers = { "x-api-key": placeholderOf(undefined, "acme") };

  /** A daemon with a listener, as a process; `client` is behind it, `run` behind a `nexusd run` of its own. */
  class KilledWorld {
    private constructor(
      readonly temporary: string,
      readonly api: ApiStandIn,
      readonly place: Place,
      readonly daemons: DaemonProcesses,
      readonly client: ProxyClient,
      readonly connectionId: string,
    ) {}

    static async start(): Promise<KilledWorld> {
      const api = await ApiStandIn.start();
      const listen = `127.0.0.1:${await freePort()}`;
      const temporary = temporaryFolder();
      const place = await Place.make({
        ...settingsFor(api),
        NEXUS_EGRESS_LISTEN: listen,
        TMPDIR: temporary,
      });
      const daemons = new DaemonProcesses(place.environment);
      await daemons.started();
      const connectionId = await connected(place.clients(), api);
      const restriction = { userIds: ["ada"] };
      const made = await place
        .clients()
        .access.createApiKey({ name: "agent", role: Role.AGENT, restriction });
      const client = new ProxyClient(
        new URL(`http://ada:${made.key}@${listen}`),
        await caAt(listen),
        api.port,
      );
      return new KilledWorld(temporary, api, place, daemons, client, connectionId);
    }

    /** SIGKILL, and a new daemon as soon as `meanwhile` is over. */
    async kill(meanwhile: () => Promise<void>): Promise<void> {
      const [daemon] = this.daemons.all.slice(-1);
      await daemon?.kill("SIGKILL");
      await meanwhile();
      await this.daemons.started();
    }

    async run(program: (client: ProxyClient, clock: ManualClock) => Promise<void>): Promise<void> {
      const { dataDir } = this.place.config;
      const roots = String(this.place.environment["NODE_EXTRA_CA_CERTS"]);
      const env = { NEXUS_DATA_DIR: dataDir, NODE_EXTRA_CA_CERTS: roots };
      // Certificates are judged by the machine's clock.
      const clock = new ManualClock(Date.now());
      const shell = { ...fakeShell({ env, userName: () => "ada" }), clock };
      const runProgram = async (_: readonly string[], given: NodeJS.ProcessEnv) => {
        const { HTTPS_PROXY = "", SSL_CERT_FILE = "" } = given;
        const ca = readFileSync(SSL_CERT_FILE, "utf8");
        await program(new ProxyClient(new URL(HTTPS_PROXY), ca, this.api.port), clock);
        expect(filesWith(dirname(SSL_CERT_FILE), key)).toEqual([]);
        return 0;
      };
      const code = await run(["run", "--", "agent"], { ...shell, runProgram });
      expect([code, shell.err()]).toEqual([0, ""]);
    }

    async stop(): Promise<void> {
      await Promise.all([this.daemons.close(), this.api.stop()]);
    }
  }

  const caAt = async (address: string): Promise<string> =>
    await (await fetch(`http://${address}/ca.pem`)).text();

  /** Requests one after the other until one fails. Each has a path of its own. @returns how that one ended */
  async function untilOneFails(client: ProxyClient, name: string, version: 1 | 2): Promise<string> {
    for (let at = 0; ; at++) {
      const path = `/v1/${name}/${at}`;
      const answer = await client
        .ask(path, { version, method: "POST", body: path, headers })
        .catch(() => undefined);
      if (answer?.status !== 200) return answer ? `${answer.status} ${answer.body}` : "broken off";
    }
  }

  function filesWith(folder: string, text: string): string[] {
    const all = readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)));
    return all.filter((path) => statSync(path).isFile() && readFileSync(path).includes(text));
  }

  const world = perSuite(() => KilledWorld.start());

  it("a daemon that is killed under load serves the same programs when it is back, and no request was sent twice", async () => {
    const { api, client, place, connectionId } = world;
    const listen = String(place.environment["NEXUS_EGRESS_LISTEN"]);
    const ca = await caAt(listen);
    let far = { write: (_: string): unknown => undefined };
    api.respond = ({ path }, response) => {
      if (!path.endsWith("/stream")) return void response.end("ok");
      response.writeHead(200).write("first");
      far = response;
    };
    await world.run(async (own, clock) => {
      const { sent, answered, close } = await own.open("/v1/stream", { version: 2, headers });
      sent.end();
      const { body } = await answered;
      const next = async (from: Readable) => String((await once(from, "data"))[0]);
      expect(await next(body)).toBe("first");
      const load = lanes.map((version, at) => untilOneFails(client, `listener-${at}`, version));
      const ofRun = lanes.map((version, at) => untilOneFails(own, `run-${at}`, version));
      await expect.poll(() => api.received.length, { timeout: 30_000 }).toBeGreaterThan(30);
      await world.kill(async () => {
        expect(new Set(await Promise.all(load))).toEqual(new Set(["broken off"]));
        // The proxy of `nexusd run` is another process: it says what is away, and what it has open goes on.
        for (const end of await Promise.all(ofRun)) expect(end).toMatch(/^502 .*no-credential/);
        far.write("second");
        expect(await next(body)).toBe("second");
      });
      expect(await caAt(listen)).toBe(ca);
      for (const program of [client, own])
        for (const version of [1, 2] as const)
          expect(await program.ask(`/v1/${program === own}/${version}`, { version, headers })).toMatchObject({
            status: 200,
          });
      clock.advance(15_000);
      const sessions = async () =>
        (await place.clients().egress.listEgressSessions({})).sessions.map(({ principal }) => principal);
      await expect
        .poll(sessions, { timeout: 30_000 })
        .toEqual(expect.arrayContaining(["key:agent", "owner"]));
      await place.clients().connections.revokeConnection({ connectionId });
      const isOver = () => {
        clock.advance(1_000);
        return body.closed;
      };
      await expect.poll(isOver, { timeout: 30_000 }).toBe(true);
      close();
    });
    const paths = api.received.map(({ path }) => path);
    expect(paths.length).toBe(new Set(paths).size);
    expect(new Set(api.received.map((got) => got.headers["x-api-key"]))).toEqual(new Set([key]));
  });

  it("leaves the credential in no file", () => {
    const folders = [world.place.config.dataDir, world.temporary];
    expect(folders.flatMap((folder) => filesWith(folder, "BEGIN CERTIFICATE")).length).toBeGreaterThan(0);
    expect(folders.flatMap((folder) => filesWith(folder, key))).toEqual([]);
  });
});

describe("a hub that is killed", () => {
  const world = perSuite(async () => {
    const api = await ApiStandIn.start();
    const hub = await started(ProcessAt, hubSettings());
    await connected(hub.clients, api);
    const listen = `127.0.0.1:${await freePort()}`;
    const upstream = spokeSettings([hub.place.httpUrl], certificateIdentity());
    const settings = { ...upstream, ...settingsFor(api), NEXUS_EGRESS_LISTEN: listen };
    const spoke = await started(ProcessAt, settings);
    const stop = async (): Promise<void> => {
      await Promise.all([spoke.close(), hub.close(), api.stop()]);
    };
    return { api, hub, spoke, listen, stop };
  });

  it("serves egress at a spoke from its copy, and goes on while the hub is away", async () => {
    const { api, hub, spoke, listen } = world;
    const restriction = { userIds: ["ada"] };
    const made = await spoke.clients.access.createApiKey({ name: "agent", role: Role.AGENT, restriction });
    const ca = await (await fetch(`http://${listen}/ca.pem`)).text();
    const program = new ProxyClient(new URL(`http://ada:${made.key}@${listen}`), ca, api.port);
    expect(await program.ask("/v1/user")).toMatchObject({ status: 200, body: "ok" });
    await hub.daemon.kill("SIGKILL");
    expect(await program.ask("/v1/user", { version: 2 })).toMatchObject({ status: 200, body: "ok" });
    expect(api.received.map(({ headers }) => headers["x-api-key"])).toEqual([key, key]);
  });
});
