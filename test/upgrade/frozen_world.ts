import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../src/daemon/daemon.js";
import { type Clients, Place } from "../daemon/harness.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { temporaryFolder } from "../temporary_folder.js";
import { FrozenProvider } from "./frozen_provider.js";
import type { Call } from "./rpc.js";
import { callOf, type FrozenSettings, frozenSettings } from "./settings.js";
import type { FrozenVersion } from "./version.js";

/** The data folder of a frozen version, with the provider that its grants are of. */
export class FrozenFolder {
  private constructor(
    readonly provider: FrozenProvider,
    readonly settings: FrozenSettings,
    readonly call: Call,
  ) {}

  static async of(version: FrozenVersion): Promise<FrozenFolder> {
    const folder = join(temporaryFolder(), "data");
    mkdirSync(folder, { mode: 0o700 });
    version.unpack(folder);
    const settings = { ...(await frozenSettings(folder)), ...version.frozen.settings };
    return new FrozenFolder(await FrozenProvider.start(), settings, callOf(settings));
  }

  async close(): Promise<void> {
    await this.provider.close();
  }
}

/** The daemon of this checkout on such a folder, at the time when the folder was frozen. */
export class FrozenWorld {
  #daemon: Daemon | undefined;

  private constructor(
    readonly version: FrozenVersion,
    readonly folder: FrozenFolder,
    readonly place: Place,
    readonly clock: ManualClock,
  ) {}

  static async of(version: FrozenVersion, before: (provider: FrozenProvider) => void = () => {}) {
    const folder = await FrozenFolder.of(version);
    before(folder.provider);
    const clock = new ManualClock(version.frozen.atMs);
    const world = new FrozenWorld(version, folder, await Place.make(folder.settings), clock);
    world.#daemon = await world.place.start(clock);
    return world;
  }

  get provider(): FrozenProvider {
    return this.folder.provider;
  }

  get clients(): Clients {
    return this.place.clients();
  }

  /** The id of the connection of a user. */
  id(user: string): string {
    return this.version.frozen.connections[user] ?? "";
  }

  async token(user: string): Promise<string | undefined> {
    const { token } = await this.clients.tokens.getToken({ connectionId: this.id(user) });
    return token?.credentials["access_token"] ?? token?.credentials["api_key"];
  }

  async close(): Promise<void> {
    await this.#daemon?.stop();
    await this.folder.close();
  }
}
