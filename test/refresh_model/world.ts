import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { owner } from "../../src/model/access/principal.js";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import { deferredUntilMs } from "../../src/model/refresh/foreign_intent.js";
import { Secret } from "../../src/runtime/secret.js";
import { SpoolFile } from "../../src/store/files/spool_file.js";
import { Store } from "../../src/store/store.js";
import { type Answer, HostileServer } from "../fakes/hostile_server.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { manualSettings } from "../fakes/wired_domain.js";
import { type Ending, ModelFleet } from "./fleet.js";
import { Life, type Trap } from "./life.js";

const startMs = 1_800_000_000_000;
/** The second binds tokens to keys, and demands nonces. The last is for machines: no person consents there. */
export const providerNames = ["north", "south", "robots"] as const;
export type ProviderName = (typeof providerNames)[number];

const machine = {
  grantType: "client_credentials",
  authUrl: "",
  tokenEndpointAuthMethod: "client_secret_post",
} as const;

const bound = { oauth2: { ...plainOAuth2, dpop: "always" } } as const;

/** What of Web Crypto is under way: it ends on other threads, where no turn of the loop tells. */
let signing = 0;
for (const name of ["sign", "importKey", "exportKey", "digest"] as const) {
  const original = crypto.subtle[name].bind(crypto.subtle) as (...given: unknown[]) => Promise<unknown>;
  const counted = (...given: unknown[]): Promise<unknown> => {
    signing++;
    return original(...given).finally(() => signing--);
  };
  Object.defineProperty(crypto.subtle, name, { value: counted, configurable: true });
}

/** Memory where there is some: the sync of a disk is not what is tested here. */
const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A daemon that can die, its users, and its providers. */
export class World {
  readonly clock = new ManualClock(startMs);
  readonly server = new HostileServer(16);
  /** By place in the script. */
  readonly connections: { readonly id: string; readonly provider: ProviderName; readonly holder: string }[] =
    [];
  /** The newest revision that anybody was shown, by connection. */
  readonly shown = new Map<string, bigint>();
  readonly deletedProviders = new Set<ProviderName>();
  readonly violations: string[] = [];
  life!: Life;
  /** With it the daemon is one of two hubs. */
  readonly fleet: ModelFleet | undefined;
  /** By the user that it is for: a refresh token of another system. */
  readonly imports = new Map<string, { readonly token: string; id?: string; isSeen: boolean }>();
  /** By token: requests whose outcome a crash left open. */
  readonly #crashed = new Map<string, number>();
  /** Of all lives: what each had marked and not sent. */
  readonly #unsent = new Set<Life["unsent"]>();
  readonly #folder = mkdtempSync(join(parent, "nexus-model-"));
  readonly #scripts = new Map<ProviderName, Answer[]>();
  readonly #refusing = new Set<ProviderName>();
  /** Providers whose gateway loses every answer: how many refreshes in a row of this life, by the last rest and since. */
  readonly #losing = new Map<ProviderName, { life: Life; before: number; since: number }>();
  #seed: number;
  #robots = 0;

  private constructor(seed: number, isFleet: boolean) {
    this.fleet = isFleet ? new ModelFleet(this.#folder, this.#ofFleet()) : undefined;
    this.#seed = seed;
    this.server.proofs.demand("south");
    this.server.script = (provider, _holder, isOwn) =>
      this.#nextAnswer(provider as ProviderName, isOwn === true);
  }

  static async make(seed: number, isFleet = false): Promise<World> {
    const world = new World(seed, isFleet);
    world.life = await world.#live();
    for (const name of providerNames) await world.recreate(name);
    return world;
  }

  script(provider: ProviderName, answers: readonly Answer[]): void {
    this.#scripts.set(provider, [...answers]);
  }

  /** Before what is scripted. */
  answerNext(provider: ProviderName, answer: Answer): void {
    this.#scripts.set(provider, [answer, ...(this.#scripts.get(provider) ?? [])]);
  }

  refuseClient(provider: ProviderName, refuses: boolean): void {
    if (refuses) this.#refusing.add(provider);
    else this.#refusing.delete(provider);
  }

  loseAnswers(provider: ProviderName, loses: boolean): void {
    if (loses) this.#losing.set(provider, { life: this.life, before: 0, since: 0 });
    else this.#losing.delete(provider);
  }

  /** Nothing is scripted any more, and what was slow goes on. */
  calm(): void {
    this.#losing.clear();
    this.#scripts.clear();
    this.#refusing.clear();
    this.server.unopened.clear();
    this.server.release();
  }

  setTrap(kind: Trap, after: number): void {
    this.life.setTrap(kind, after);
  }

  async recreate(name: ProviderName): Promise<void> {
    if (this.life.store.findProviderByName(name)) return;
    const manual = manualSettings(name, `https://${name}.example`);
    const settings = { ...manual, oauth2: { ...manual.oauth2, tokenExchange: "rfc8693" as const } };
    const { providers } = this.life.domain;
    const consented = name === "south" ? { ...settings, ...bound } : settings;
    if (name !== "robots") await providers.create(consented, undefined, owner);
    else await providers.create({ ...settings, ...machine }, new Secret("secret"), owner);
  }

  /** A machine asks for a connection of its own; its name is the scope, by which the provider knows it. */
  async connectRobot(connectionId?: string): Promise<void> {
    const { unattended } = this.life.domain;
    const known = this.connections.find(({ id }) => id === connectionId);
    const holder = known?.holder ?? `robot-${++this.#robots}`;
    const all = { userId: holder, provider: { name: "robots" }, scopes: [holder], returnUrl: undefined };
    const request = { ...all, connectionId };
    const profile = unattended.profileFor(request);
    if (profile) await unattended.connect(request, profile, owner);
  }

  async importToken(provider: "north"): Promise<void> {
    const profile = this.life.store.findProviderByName(provider);
    if (!profile) return;
    const userId = `import-${this.imports.size}`;
    const token = this.server.grantElsewhere(provider, userId);
    this.imports.set(userId, { token, isSeen: false });
    const named = { userId, label: "", providerId: profile.id, scopes: [], idToken: undefined, fields: {} };
    await this.life.domain.importer.import({ ...named, refreshToken: new Secret(token) }, owner);
  }

  /** Takes up the connections that robots and imports will have or have made. */
  adopt(): void {
    const { store } = this.life;
    for (const { pending } of store.listImports()) {
      const imported = this.imports.get(pending.userId);
      if (!imported) continue;
      const id = pending.connectionId;
      imported.isSeen ||= store.getConnection(id) !== undefined;
      if (imported.id !== undefined) continue;
      imported.id = id;
      this.server.rename(imported.token, id);
      this.connections.push({ id, provider: "north", holder: id });
    }
    const known = new Set(this.connections.map(({ id }) => id));
    for (const { id, userId } of this.life.store.listConnections({ limit: 1000 })) {
      if (!userId.startsWith("robot-") || known.has(id)) continue;
      this.connections.push({ id, provider: "robots", holder: userId });
    }
  }

  /** Until nothing moves any more: what is slow at the provider, and what waits for a time, stands still. */
  async settle(): Promise<void> {
    for (let still = 0, before = -1; still < 4; ) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      await this.fleet?.feed();
      const { life } = this;
      const events = life.events + (this.fleet?.events ?? 0);
      still = life.busy === 0 && signing === 0 && events === before ? still + 1 : 0;
      before = events;
      if (life.isDead) await this.crash();
    }
    for (const lost of this.#losing.values())
      Object.assign(lost, { before: lost.before + lost.since, since: 0 });
  }

  /** Everything in memory is gone; what is on disk is opened again. */
  async crash(): Promise<void> {
    await this.life.bury();
    this.server.release();
    this.life = await this.#live();
    this.#countLosses();
  }

  /** Another hub leads from now on; nothing where there is one daemon. */
  async changeLeader(how: Ending): Promise<void> {
    const { fleet } = this;
    if (!fleet) return;
    await this.resume();
    const { life } = this;
    this.#unsent.add(life.unsent);
    if (how === "ended" && !(await this.#stopped(life))) return;
    const livesOn = how === "stopped" || how === "cut";
    if (how === "ended") life.domain.spool.save();
    if (livesOn) life.cutOff(how);
    else await life.bury();
    this.server.release();
    // What the provider answers is on its way to the one that is cut off, and there by now.
    for (let turns = 0; turns < 8; turns++) await new Promise<void>((resolve) => setImmediate(resolve));
    if (livesOn) {
      fleet.ghost = life;
      // A request that is in the air for longer than one lasts is nothing that the next leader waits for.
      this.forgetAnswers(0);
    }
    this.life = await fleet.change();
    if (how === "killed") this.#countLosses();
    if (how === "ended") await this.#flushToLeader(fleet);
    await this.settle();
  }

  /** The hub that was cut off is back. */
  async resume(): Promise<void> {
    const { fleet } = this;
    const ghost = fleet?.ghost;
    if (!fleet || !ghost) return;
    this.life.refusals = 0;
    ghost.resume();
    await this.settle();
    if (!(await fleet.returned(ghost))) this.#countLosses();
    await this.#flushToLeader(fleet);
    await this.settle();
  }

  async #flushToLeader(fleet: ModelFleet): Promise<void> {
    while (!(await fleet.flushToLeader())) await this.settle();
  }

  /** Before time passes: a hub that is back by then brings its answers too late. */
  forgetAnswers(byMs: number): void {
    const untilMs = this.clock.nowMs() + byMs;
    for (const { id } of this.connections) {
      const connection = this.life.store.getConnection(id);
      const token = this.refreshTokenOf(id);
      if (!connection || token === undefined || !this.fleet?.isHeldElsewhere(connection.refreshIntent?.owner))
        continue;
      const patientUntilMs = deferredUntilMs(connection.refreshIntent, connection, "another") ?? 0;
      if (patientUntilMs <= untilMs) this.#lose(id, token);
    }
  }

  #countLosses(): void {
    // What was imported may have been refreshed before it was looked at.
    this.adopt();
    for (const { token, isSeen } of this.imports.values()) if (!isSeen) this.server.lose(token);
    for (const { id } of this.connections) {
      const token = this.refreshTokenOf(id);
      if (token !== undefined) this.#lose(id, token);
      const revision = this.life.store.getConnection(id)?.credentialRevision;
      const shown = this.shown.get(id) ?? 0n;
      if (revision !== undefined && revision < shown) {
        this.violations.push(`I3: ${id} was shown at revision ${shown} and is stored at ${revision}`);
      }
    }
  }

  #lose(id: string, token: string): void {
    this.#countCrash(id, token);
    if (this.server.isRedeemed(token)) this.server.lose(token);
  }

  /** How many requests with this token ended without an answer that counts. A crash before the sending cannot be told from one. */
  violationsOf(token: string): number {
    return this.crashesOf(token) + this.server.timesDropped(token);
  }

  crashesOf(token: string): number {
    return this.#crashed.get(token) ?? 0;
  }

  /** How many marks of intent with this token were not followed by the request: of those it cannot be known that nothing was sent. */
  unsentOf(token: string): number {
    this.#unsent.add(this.life.unsent);
    return [...this.#unsent].reduce((sum, unsent) => sum + (unsent.get(token) ?? 0), 0);
  }

  #countCrash(id: string, token: string): void {
    const connection = this.life.store.getConnection(id);
    const intent = connection?.refreshIntent;
    if (intent === undefined || intent.credentialRevision !== connection?.credentialRevision) return;
    const open = intent.sends - this.server.timesDropped(token);
    this.#crashed.set(token, Math.max(this.crashesOf(token), open));
  }

  /** A proper end and a new start; it may still turn into a crash on the way. */
  async restart(): Promise<void> {
    const { life } = this;
    if (!(await this.#stopped(life))) return;
    life.domain.spool.save();
    await life.bury();
    this.life = await this.#live();
  }

  /** Whether it came to its proper end; a crash on the way was followed by a new life. */
  async #stopped(life: Life): Promise<boolean> {
    let isStopped = false;
    void life.domain.engine.stop().then(() => {
      isStopped = true;
    });
    while (!isStopped && !life.isDead) {
      this.server.release();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (life.isDead) await this.crash();
    else await this.settle();
    return this.life === life;
  }

  async end(): Promise<void> {
    await this.fleet?.end();
    await this.life.bury();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The refresh token that the store holds. */
  refreshTokenOf(connectionId: string): string | undefined {
    const { store, domain } = this.life;
    const connection = store.getConnection(connectionId);
    const stored = store.getCredential(connectionId);
    if (!connection || !stored) return undefined;
    return domain.vault.openCredential(connection, stored).refreshToken?.reveal();
  }

  async #live(): Promise<Life> {
    if (this.life) this.#unsent.add(this.life.unsent);
    if (this.fleet) return await this.fleet.lead();
    const store = Store.open({ folder: this.#folder, nowMs: this.clock.nowMs() });
    const spoolFile = SpoolFile.open(this.#folder);
    const life = new Life(store, this.clock, this.server, () => this.#random(), spoolFile);
    await life.begin();
    return life;
  }

  #ofFleet() {
    const { clock, server, violations } = this;
    return { clock, server, violations, random: () => this.#random() };
  }

  #nextAnswer(provider: ProviderName, isRefresh: boolean): Answer {
    const lost = this.#losing.get(provider);
    if (lost !== undefined) {
      if (isRefresh) this.#lost(provider, lost);
      return "gateway_before";
    }
    if (this.#refusing.has(provider)) return "invalid_client";
    return this.#scripts.get(provider)?.shift() ?? "rotate";
  }

  /** Once three in a row were lost, one refresh at a time finds out whether that is over. */
  #lost(provider: ProviderName, lost: { life: Life; before: number; since: number }): void {
    if (lost.life !== this.life) Object.assign(lost, { life: this.life, before: 0, since: 0 });
    lost.since++;
    if (lost.before >= 3 && lost.since > 1)
      this.violations.push(`I13: ${provider} loses all answers, and was sent one grant after another`);
  }

  /** Mulberry32: a run is told by its seed. */
  #random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}
