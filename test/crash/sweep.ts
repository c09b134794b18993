import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { owner } from "../../src/model/access/principal.js";
import { createOutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { Secret } from "../../src/runtime/secret.js";
import { SpoolFile } from "../../src/store/files/spool_file.js";
import { Store } from "../../src/store/store.js";
import { HostileListener, lifeHeader } from "../fakes/hostile_listener.js";
import { HostileServer } from "../fakes/hostile_server.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { manualSettings, testVault, WiredDomain } from "../fakes/wired_domain.js";
import { type Boundary, gatewayMs, pausedTimeoutMs, serverBoundaries } from "./boundaries.js";

const connectionCount = 40;
/** The last is for machines: what it holds is minted. */
const providerNames = ["north", "south", "robots"];
const machine = {
  grantType: "client_credentials",
  authUrl: "",
  tokenEndpointAuthMethod: "client_secret_post",
} as const;
/** A child that has not died of its boundary by then never will. */
const limitMs = 20_000;

export interface SweepResult {
  kills: number;
  pauses: number;
  failures: number;
  reopenings: number;
  grantsLost: number;
  doubleRedemptions: number;
  outcomeUnknown: number;
}

interface Life {
  readonly child: ChildProcess;
  readonly gone: Promise<unknown>;
}

/** One store, many lives of the child that works on it, and a provider that forgives nothing. */
export class Sweep {
  readonly result: SweepResult = {
    kills: 0,
    pauses: 0,
    failures: 0,
    reopenings: 0,
    grantsLost: 0,
    doubleRedemptions: 0,
    outcomeUnknown: 0,
  };
  readonly violations: string[] = [];
  readonly #server = new HostileServer(16);
  readonly #listener = new HostileListener(this.#server);
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-crash-"));
  readonly #shown = new Map<string, bigint>();
  /** By connection: the refresh token of the store after the last kill. */
  readonly #stored = new Map<string, string>();
  /** Those whose successor died with the child, and their providers. */
  readonly #unknown = new Map<string, string>();

  constructor(private readonly childFile: string) {
    this.#server.lifetimeSeconds = 2;
    this.#server.forgives.add("south");
  }

  async open(): Promise<void> {
    const origin = await this.#listener.open();
    this.#listener.life = "first";
    const store = Store.open({ folder: this.#folder, nowMs: Date.now() });
    const fetch = createOutboundFetch({ networks: loopbackNetworks });
    const domain = new WiredDomain({
      store,
      clock: new SystemClock(),
      random: Math.random,
      outbound: (url, request) =>
        fetch(url, { ...request, headers: { ...request.headers, [lifeHeader]: "first" } }),
    });
    for (const name of providerNames) {
      const settings = manualSettings(name, `${origin}/${name}`);
      if (name !== "robots") await domain.providers.create(settings, undefined, owner);
      else await domain.providers.create({ ...settings, ...machine }, new Secret("secret"), owner);
    }
    for (let count = 0; count < connectionCount; count++) {
      const name = providerNames[count % providerNames.length] ?? "";
      if (name !== "robots") await domain.consentOf(name, undefined);
      else await this.#connectRobot(domain, `robot-${count}`);
    }
    await store.close();
    await this.#look();
  }

  /** Its name is its scope, by which the provider knows it. */
  async #connectRobot({ unattended }: WiredDomain, name: string): Promise<void> {
    const all = { userId: name, provider: { name: "robots" }, scopes: [name], returnUrl: undefined };
    const request = { ...all, connectionId: undefined };
    const profile = unattended.profileFor(request);
    if (profile) await unattended.connect(request, profile, owner);
  }

  async close(): Promise<void> {
    await this.#listener.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** One life: it fixes what the last one left, works, and is killed. */
  async kill(boundary: Boundary, after: number): Promise<void> {
    const { child, gone } = await this.#start(boundary, after);
    this.#arm(child, boundary, after);
    await this.#over(child, gone, boundary);
    this.result.kills++;
    await this.#look();
    this.result.reopenings++;
  }

  /**
   * One life: it fixes what the last one left, works, is paused at its `after`th token request until that is out of time and answered,
   * and ends in order. It must then hold every token that it was sent.
   */
  async pause(after: number): Promise<void> {
    const { child, gone } = await this.#start("pause", after);
    let passagesLeft = after;
    this.#listener.onPoint = (point) => {
      if (point !== "arrived" || passagesLeft-- !== 0) return false;
      child.kill("SIGSTOP");
      setTimeout(
        () => {
          child.stdin?.write("end\n");
          child.kill("SIGCONT");
        },
        // Late by a little and by more: what is due is read in one turn of I/O, or in the seconds that it is given.
        pausedTimeoutMs + 50 * (after + 1),
      );
      return false;
    };
    await this.#over(child, gone, "pause");
    this.result.pauses++;
    await this.#lookForLosses("in a pause");
  }

  /** One life whose store fails at its `after`th token set: what it is answered from then on is in its spool file. */
  async fail(after: number): Promise<void> {
    const { child, gone } = await this.#start("fail", after);
    child.stdin?.write("arm\n");
    await this.#over(child, gone, "fail");
    this.result.failures++;
    const store = Store.open({ folder: this.#folder, nowMs: Date.now() });
    const spoolFile = SpoolFile.open(this.#folder);
    await new WiredDomain({
      store,
      spoolFile,
      clock: new SystemClock(),
      random: Math.random,
    }).spool.recover();
    await store.close();
    spoolFile.close();
    await this.#lookForLosses("after the store had failed");
  }

  async #lookForLosses(when: string): Promise<void> {
    await this.#look();
    this.result.reopenings++;
    for (const id of this.#unknown.keys()) {
      this.result.grantsLost++;
      this.violations.push(`${id} lost the answer that came ${when}`);
    }
  }

  /** A child that has fixed what the last one left. */
  async #start(boundary: Boundary | "pause" | "fail", after: number): Promise<Life> {
    const { kills, pauses, failures } = this.result;
    const life = String(kills + pauses + failures + 1);
    this.#listener.life = life;
    const child = spawn(process.execPath, [this.childFile, this.#folder, life, boundary, String(after)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const gone = once(child, "close");
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on("line", (line) => (line === "settled" ? resolve() : this.#read(line)));
      child.once("close", () => reject(new Error(`life ${life} ended before it had settled`)));
    });
    return { child, gone };
  }

  async #over(
    child: ChildProcess,
    gone: Promise<unknown>,
    boundary: Boundary | "pause" | "fail",
  ): Promise<void> {
    const killTimer = setTimeout(() => {
      this.violations.push(`life ${this.#listener.life} did not pass ${boundary}`);
      child.kill("SIGKILL");
    }, limitMs);
    await gone;
    clearTimeout(killTimer);
    this.#listener.onPoint = () => false;
    this.#listener.life = "";
  }

  #arm(child: ChildProcess, boundary: Boundary, after: number): void {
    child.stdin?.write("arm\n");
    if (boundary === "random") {
      setTimeout(() => child.kill("SIGKILL"), after * 12);
    } else if (serverBoundaries.some((each) => each === boundary)) {
      let passagesLeft = after;
      this.#listener.onPoint = (point) => {
        if (boundary === "gateway") {
          if (point !== "acted" || passagesLeft-- !== 0) return false;
          setTimeout(() => child.kill("SIGKILL"), gatewayMs);
          return "gateway";
        }
        if (point !== boundary || passagesLeft-- > 0) return false;
        // The dead are not answered: whatever of theirs comes later is dropped too.
        this.#listener.life = "";
        return child.kill("SIGKILL");
      };
    }
  }

  #read(line: string): void {
    const [what, id = "", ...words] = line.split(" ");
    if (what === "shown") this.#show(id, BigInt(words[0] ?? "0"));
    if (what === "state") this.#judge(id, words[0] ?? "", words[1] ?? "");
  }

  #show(id: string, revision: bigint): void {
    if (revision > (this.#shown.get(id) ?? 0n)) this.#shown.set(id, revision);
  }

  /** What the next life made of what the last one left. */
  #judge(id: string, status: string, reason: string): void {
    const provider = this.#unknown.get(id);
    if (provider === undefined) {
      if (status !== "active") {
        this.result.grantsLost++;
        this.violations.push(`${id} is ${status} (${reason}), and its grant was good`);
      }
      return;
    }
    this.result.outcomeUnknown++;
    const token = this.#stored.get(id) ?? "";
    const isForgiven = this.#server.forgives.has(provider);
    const isRight = isForgiven ? status === "active" : reason === "outcome_unknown";
    if (!isRight) {
      const grace = isForgiven ? "within its grace period" : "without a grace period";
      this.violations.push(`${id} is ${status} (${reason}), and its outcome was unknown, ${grace}`);
    } else if (this.#server.timesPresented(token) < 2) {
      this.violations.push(`${id} was given up without a probe`);
    }
  }

  /** The store as the dead left it. */
  async #look(): Promise<void> {
    const store = Store.open({ folder: this.#folder, nowMs: Date.now() });
    const vault = testVault(store);
    this.#unknown.clear();
    for (const connection of store.listConnections({ limit: 1000 })) {
      const { id, credentialRevision } = connection;
      const shown = this.#shown.get(id) ?? 0n;
      if (credentialRevision < shown)
        this.violations.push(`${id} was shown at revision ${shown} and is older`);
      const sealed = store.getCredential(id);
      if (sealed && connection.providerName === "robots") {
        // What is minted uses nothing up: no kill leaves anything in doubt.
        if (vault.openCredential(connection, sealed).refreshToken !== undefined)
          this.violations.push(`${id} holds a refresh token, and there is none`);
        continue;
      }
      const token = sealed && vault.openCredential(connection, sealed).refreshToken?.reveal();
      if (token === undefined) {
        this.violations.push(`${id} has lost its credential`);
        continue;
      }
      this.#stored.set(id, token);
      if (!this.#server.isRedeemed(token)) continue;
      this.#server.lose(token);
      this.#unknown.set(id, connection.providerName);
    }
    await store.close();
    this.result.doubleRedemptions = this.#server.doubleRedemptions;
    this.violations.push(...this.#server.violations.splice(0));
  }
}
