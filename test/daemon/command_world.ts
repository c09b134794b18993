import { userInfo } from "node:os";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { run } from "../../src/cli/program.js";
import type { ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import type { JsonObject } from "../../src/model/json.js";
import { type FakeShell, fakeShell } from "../cli/fake_shell.js";
import { temporaryFolder } from "../temporary_folder.js";
import { ScriptedWorld } from "./scripted_world.js";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A live daemon, and commands that are run in this process. */
export class CommandWorld {
  readonly home = temporaryFolder();
  /** Who runs the commands, and whose connections are meant when no user is named. */
  readonly user = userInfo().username;

  protected constructor(readonly scripted: ScriptedWorld) {}

  static async make(environment: NodeJS.ProcessEnv = {}): Promise<CommandWorld> {
    return new CommandWorld(await ScriptedWorld.make(environment));
  }

  close(): Promise<void> {
    return this.scripted.close();
  }

  /** What a command sees that talks to the daemon. */
  shell(piped = ""): FakeShell {
    const { dataDir } = this.scripted.place.config;
    return fakeShell({ env: { NEXUS_DATA_DIR: dataDir }, piped, userName: () => this.user });
  }

  async command(args: readonly string[], piped?: string): Promise<Ended> {
    const shell = this.shell(piped);
    const code = await run(args, shell);
    return { code, stdout: shell.out(), stderr: shell.err() };
  }

  /** An OAuth profile that the user has consented to; its tokens are `access-N-secret`. */
  async connect(name: string, more: JsonObject = {}): Promise<string> {
    return await this.scripted.connect(await this.scripted.register({ name, ...more }), {
      user_id: this.user,
    });
  }

  /** A static profile with the user's credential. */
  async import(
    provider: MessageInitShape<typeof ProviderSchema>,
    credentials: Record<string, string>,
  ): Promise<string> {
    const { clients } = this.scripted;
    const created = await clients.providers.createProvider({ provider });
    const { connection } = await clients.connections.importConnection({
      userId: this.user,
      providerId: created.provider?.id ?? "",
      credentials,
    });
    return connection?.id ?? "";
  }
}
