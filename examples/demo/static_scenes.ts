import { nexusd, type Scene } from "./narrator.js";

export function apiStarted(url: string): Scene {
  return {
    record: { step: "api_started", url },
    headline: "Started an API that takes a key",
    why: [
      "Keys do not expire and cannot be refreshed. Users rotate them by hand, and agents need the new one.",
    ],
  };
}

export function providerRegistered(name: string): Scene {
  return {
    record: { step: "provider_registered", provider: name },
    headline: `Added the provider "${name}" of type api_key`,
    why: ["nexusd tries a key at user_info_endpoint before it stores the key."],
  };
}

/** @param person what a person needs; undefined when no person is needed */
export function keyRequested(
  name: string,
  connectionId: string,
  person: { readonly authUrl: string; readonly key: string } | undefined,
): Scene {
  const scene: Scene = {
    record: { step: "connection_requested", connection_id: connectionId },
    headline: "The agent requested a connection for ada",
    why: [
      "It received a link to a form. An application can show its own form instead, with the returned state.",
    ],
    byHand: `${nexusd} connect ${name}/ada`,
  };
  if (person === undefined) return scene;
  const { authUrl, key } = person;
  return {
    ...scene,
    record: { ...scene.record, url: authUrl },
    banner: [`Open this in your browser and enter ${key} (or something wrong first):`, "", authUrl],
  };
}

export function schemaRead(fields: readonly string[]): Scene {
  return {
    record: { step: "schema_read", fields },
    headline: `Read which fields to ask for: ${fields.join(", ")}`,
    why: ["The fields are a JSON Schema: the profile's own, or the default of its type."],
  };
}

export function keyCaptured(connectionId: string, auto: boolean): Scene {
  return {
    record: { step: "captured", connection_id: connectionId, revision: 1, status: "active" },
    headline: auto ? "The key was captured by the API: revision 1" : "You entered the key: revision 1",
    why: ["It is stored encrypted. GetToken and the stream return it, and the API accepts it."],
  };
}

export function keyReplaced(connectionId: string): Scene {
  return {
    record: { step: "replaced", connection_id: connectionId, revision: 2 },
    headline: "The key was rotated at the provider, and replaced in nexusd",
    why: [
      "The old key no longer works. nexusd tried the new one before it replaced the old. By hand:",
      "nexusd connections replace",
    ],
  };
}

export function replacementSeen(): Scene {
  return {
    record: { step: "replacement_seen", revision: 2, status: "active" },
    headline: "The agent received revision 2 on its stream at once, and the API accepts it",
    why: ["It did not ask, and none of its calls failed."],
  };
}

export function staticDone(revisions: number, seconds: number): Scene {
  return {
    record: { step: "done", revisions, seconds },
    headline: `Done, in ${seconds} s`,
    why: ["The daemon stopped, and its temporary folder is gone. Next, add a real provider: see README.md."],
  };
}
