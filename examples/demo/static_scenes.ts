import { nexusd, type Scene } from "./narrator.js";

export function apiStarted(url: string): Scene {
  return {
    record: { step: "api_started", url },
    headline: "Started an API that takes a key, instead of a provider without OAuth",
    why: [
      "Keys do not expire and cannot be refreshed; people rotate them by hand, and agents must learn of it.",
    ],
  };
}

export function providerRegistered(name: string): Scene {
  return {
    record: { step: "provider_registered", provider: name },
    headline: `Registered the provider "${name}", of the type api_key`,
    why: ["A key is tried at its user_info_endpoint before it is stored."],
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
    headline: "The agent asked for a connection on behalf of ada",
    why: [
      "It got a URL, which leads to a form, and a state, with which an application can show a form of its own.",
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
    why: ["They come as a JSON Schema, the profile's own or the default one of its type."],
  };
}

export function keyCaptured(connectionId: string, auto: boolean): Scene {
  return {
    record: { step: "captured", connection_id: connectionId, revision: 1, status: "active" },
    headline: auto ? "The key was captured by the API: revision 1" : "You entered the key: revision 1",
    why: ["It lies sealed on disk. GetToken and the stream hand it out, and the API accepts it."],
  };
}

export function keyReplaced(connectionId: string): Scene {
  return {
    record: { step: "replaced", connection_id: connectionId, revision: 2 },
    headline: "The key was rotated at the provider, and replaced here",
    why: [
      "The old key works no longer. The new one was tried before it took its place. A person does so",
      "with nexusd connections replace.",
    ],
  };
}

export function replacementSeen(): Scene {
  return {
    record: { step: "replacement_seen", revision: 2, status: "active" },
    headline: "The agent got revision 2 from its stream, at once, and the API accepts it",
    why: ["It did not ask, and no call of it failed."],
  };
}

export function staticDone(revisions: number, seconds: number): Scene {
  return {
    record: { step: "done", revisions, seconds },
    headline: `Done, in ${seconds} s`,
    why: [
      "The daemon ended in good order and its temporary folder is gone. Next: a real provider, see README.md.",
    ],
  };
}
