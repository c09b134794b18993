import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Core } from "../../core/core.js";
import type { Registry } from "../../core/registry.js";
import {
  AddKeyResponseSchema,
  GetKeyringResponseSchema,
  type KeyringSchema,
  KeyringService,
  KeySource,
  RetireKeyResponseSchema,
  RotateKeyringResponseSchema,
} from "../../gen/nexus/v1/keyring_pb.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";
import { KeyRotation } from "./key_rotation.js";
import { KeyringManager, type KeyringState } from "./keyring_manager.js";

export function openKeyring(core: Core, registry: Registry): void {
  const { config, store, changes, clock, log, keySource: source } = core;
  const sealing = { store, vault: core.credentials.vault, ring: core.vault, clock, log };
  const rotation = new KeyRotation(sealing);
  const { ring: keyring } = core.operations;
  const manager = new KeyringManager({ ...sealing, keyring, changes, source, rotation });
  registry.rpc(keyringService(manager));
  // A spoke seals its copies itself; in a fleet, the leader does.
  const part = { start: () => manager.start(), stop: () => manager.stop() };
  registry.part(part, { isEverywhere: config.store === "copy" });
}

function keyringService(keyring: KeyringManager): ServiceDefinition {
  return defineService(KeyringService, {
    async getKeyring({ reload }) {
      const state = reload ? await keyring.reload() : keyring.state();
      return create(GetKeyringResponseSchema, { keyring: keyringMessage(state) });
    },

    async addKey(_request, { principal }) {
      const keyId = await keyring.add(principal);
      return create(AddKeyResponseSchema, { keyId, path: keyring.state().path ?? "" });
    },

    async rotateKeyring({ keyId }, { principal }) {
      const state = await keyring.rotate(keyId === "" ? undefined : keyId, principal);
      return create(RotateKeyringResponseSchema, { keyring: keyringMessage(state) });
    },

    async retireKey({ keyId }, { principal }) {
      const { isRemoved } = await keyring.retire(keyId, principal);
      return create(RetireKeyResponseSchema, { removedFromSource: isRemoved });
    },
  });
}

const sources: Readonly<Record<KeyringState["source"], KeySource>> = {
  generated: KeySource.GENERATED,
  file: KeySource.FILE,
  environment: KeySource.ENVIRONMENT,
  command: KeySource.COMMAND,
};

function keyringMessage(state: KeyringState): MessageInitShape<typeof KeyringSchema> {
  return {
    source: sources[state.source],
    path: state.path ?? "",
    keys: state.keys.map(({ keyId, isPrimary, records }) => ({
      keyId,
      primary: isPrimary,
      records: BigInt(records),
    })),
    rotating: state.isRotating,
    remaining: BigInt(state.remaining),
    unreadable: BigInt(state.unreadable),
  };
}
