import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, expect } from "vitest";
import { run } from "../../../src/cli/program.js";
import { ConnectionStatus } from "../../../src/gen/nexus/v1/connection_pb.js";
import type { TokenSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { perTest } from "../../lifetimes.js";
import { FakeDaemon } from "../fake_daemon.js";
import { type FakeShell, fakeShell, startMs } from "../fake_shell.js";

type TokenShape = MessageInitShape<typeof TokenSchema>;

export const oauth2: TokenShape = {
  strategy: {
    kind: {
      case: "oauth2",
      value: { headerName: "Authorization", valuePrefix: "Bearer ", credentialField: "access_token" },
    },
  },
  credentials: { access_token: "gho_secret" },
  expiresAt: timestampFromMs(startMs + 3600_500),
};
export const basic: TokenShape = {
  strategy: {
    kind: { case: "basicAuth", value: { usernameField: "account_sid", passwordField: "auth_token" } },
  },
  credentials: { account_sid: "AC1", auth_token: "s3cret" },
};
/** `nexusd token` at a daemon that serves one connection. */
export function tokenWorld() {
  const daemon = perTest(() => new FakeDaemon());
  let served: TokenShape;
  beforeEach(async () => {
    daemon.addProvider({ apiBaseUrl: "https://api.github.com/v3" });
    daemon.addConnection({ status: ConnectionStatus.ACTIVE });
    serve(oauth2);
    daemon.api.tokens = { getToken: () => ({ token: served }) };
    await daemon.start();
  });

  const serve = (token: TokenShape): void => {
    served = token;
  };
  const token = async (
    args: string[],
    env: Record<string, string> = {},
  ): Promise<FakeShell & { code: number }> => {
    const shell = fakeShell({ env: { ...daemon.env, ...env } });
    return Object.assign(shell, { code: await run(["token", ...args], shell) });
  };
  const printed = async (args: string[], env?: Record<string, string>): Promise<string> => {
    const shell = await token(args, env);
    expect([shell.err(), shell.code]).toEqual(["", 0]);
    return shell.out();
  };
  const refused = async (args: string[], code: number, env?: Record<string, string>): Promise<string> => {
    const shell = await token(args, env);
    expect([shell.out(), shell.code]).toEqual(["", code]);
    expect(shell.err()).not.toMatch(/gho_secret|s3cret|wJal/);
    return shell.err();
  };
  return { daemon, serve, token, printed, refused };
}
