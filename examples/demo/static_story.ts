import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import type { DaemonProcess } from "./daemon_process.js";
import { DemoFailure } from "./failure.js";
import type { Narrator } from "./narrator.js";
import { rotatedKey, StaticApi } from "./static_api.js";
import * as scenes from "./static_scenes.js";

export interface StaticStage {
  readonly daemon: DaemonProcess;
  readonly tell: Narrator;
  /** Whether the demo enters the key by the API, instead of a person in the form. */
  readonly auto: boolean;
  readonly signal: AbortSignal;
}

const name = "acme";

/** A key that a person enters once, and its replacement. @returns how many revisions were seen */
export async function playStatic(stage: StaticStage): Promise<number> {
  const api = await StaticApi.start();
  try {
    stage.tell(scenes.apiStarted(api.url));
    return await play(stage, api);
  } finally {
    await api.stop();
  }
}

async function play({ daemon, tell, auto, signal }: StaticStage, api: StaticApi): Promise<number> {
  const { providers, connections, tokens } = daemon.clients;
  const trial = { apiBaseUrl: api.url, userInfoEndpoint: "/me" };
  await providers.createProvider({ provider: { name, authType: AuthType.API_KEY, ...trial } }, { signal });
  tell(scenes.providerRegistered(name));

  const { connectionId, authUrl, state } = await connections.requestConnection(
    { userId: "ada", provider: { case: "providerName", value: name } },
    { signal },
  );
  tell(scenes.keyRequested(name, connectionId, auto ? undefined : { authUrl, key: api.key }));
  if (auto) {
    const { schema } = await connections.getCaptureSchema({ state }, { signal });
    tell(scenes.schemaRead(Object.keys((schema?.["properties"] ?? {}) as object)));
    await connections.captureCredential({ state, credentials: { api_key: api.key } }, { signal });
  }

  let revisions = 0;
  const enough = new AbortController();
  const stream = tokens.watchTokens(
    { connectionIds: [connectionId] },
    { signal: AbortSignal.any([signal, enough.signal]) },
  );
  try {
    for await (const { event } of stream) {
      if (event.case !== "state" || !event.value.token) continue;
      const { revision, credentials } = event.value.token;
      if (Number(revision) !== revisions + 1) continue;
      revisions = Number(revision);
      await api.use(credentials["api_key"]);
      if (revisions === 2) {
        tell(scenes.replacementSeen());
        return revisions;
      }
      const { token } = await tokens.getToken({ connectionId }, { signal });
      if (token?.revision !== 1n) throw new DemoFailure("GetToken does not answer what the stream says");
      tell(scenes.keyCaptured(connectionId, auto));
      api.key = rotatedKey;
      await connections.replaceCredential({ connectionId, credentials: { api_key: rotatedKey } }, { signal });
      tell(scenes.keyReplaced(connectionId));
    }
  } finally {
    enough.abort();
  }
  throw new DemoFailure("the stream ended before the second revision");
}
