import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { Place } from "../test/daemon/harness.js";
import { type Filling, fillStore } from "./filled_store.js";

/** Where nobody answers. */
const nowhere = "http://127.0.0.1:9";

export interface FilledPlace {
  readonly place: Place;
  /** Of the connections, as `fillStore` answers them. */
  readonly ids: string[][];
}

/**
 * A place for a daemon whose store is filled.
 *
 * @param origin of the providers; nowhere where they are not asked
 * @param environment settings beside those of every place
 */
export async function filledPlace(
  groups: Filling["groups"],
  {
    origin = nowhere,
    providers = ["bench"],
    profile = {},
    environment = {},
  }: {
    readonly origin?: string;
    readonly providers?: readonly string[];
    readonly profile?: Filling["profile"];
    readonly environment?: NodeJS.ProcessEnv;
  } = {},
): Promise<FilledPlace> {
  const key = randomBytes(32);
  const settings = {
    NEXUS_ENCRYPTION_KEY: key.toString("base64"),
    NEXUS_LOG_LEVEL: "info",
    NEXUS_MAX_REJECTIONS_PER_HOUR: "3600",
  };
  const place = await Place.make({ ...settings, ...environment });
  const folder = place.config.dataDir;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { place, ids: await fillStore({ folder, key, origin, providers, profile, groups }) };
}
