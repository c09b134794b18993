import { afterEach, beforeEach } from "vitest";
import { SpoolFile } from "../../src/store/files/spool_file.js";
import { standInFor } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { Engine } from "./engine.js";

/**
 * An engine with a spool file, which is made before each test, and can end and begin again on the same folder: `engine` and `file` stand
 * for the present ones.
 *
 * @param onLive is given each engine
 */
export function spooledEngine(onLive: (engine: Engine) => void = () => undefined) {
  let folder: string;
  let file: SpoolFile;
  let engine: Engine;
  const live = (): void => {
    file = SpoolFile.open(folder);
    engine = new Engine(folder, file);
    onLive(engine);
  };
  const die = async (): Promise<void> => {
    await engine.poller.stop();
    await engine.store.close();
    file.close();
  };
  beforeEach(() => {
    folder = temporaryFolder();
    live();
  });
  afterEach(die);
  return {
    engine: standInFor(() => engine),
    file: standInFor(() => file),
    folder: () => folder,
    live,
    die,
    restart: async (): Promise<void> => {
      await die();
      live();
    },
  };
}
