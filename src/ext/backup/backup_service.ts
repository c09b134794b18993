import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Core } from "../../core/core.js";
import {
  BackupService,
  type BackupSummary,
  BackupSummarySchema,
  CreateBackupResponseSchema,
} from "../../gen/nexus/v1/backup_pb.js";
import { pump } from "../../runtime/runtime.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";
import { type Backup, BackupMaker } from "./backup_maker.js";

export function openBackups({ config, store, vault, clock, log }: Core): ServiceDefinition {
  const backups = new BackupMaker({ store, ring: vault, folder: config.dataDir, clock, log });
  backups.removeLeft();
  return backupService({ backups });
}

function backupService(options: { readonly backups: BackupMaker }): ServiceDefinition {
  return defineService(BackupService, {
    createBackup({ allowUnreadable }, { principal }, sink) {
      return pump(async function* (signal) {
        const backup = await options.backups.make({ allowUnreadable, principal }, signal);
        try {
          yield create(CreateBackupResponseSchema, { part: { case: "summary", value: summaryOf(backup) } });
          for await (const value of backup.chunks()) {
            signal.throwIfAborted();
            yield create(CreateBackupResponseSchema, {
              part: { case: "chunk", value: Uint8Array.from(value) },
            });
          }
        } finally {
          backup.discard();
        }
      }, sink);
    },
  });
}

function summaryOf({ manifest, bytes, sha256 }: Backup): BackupSummary {
  return create(BackupSummarySchema, {
    databaseId: manifest.databaseId,
    createdAt: timestampFromMs(manifest.createdAtMs),
    bytes: BigInt(bytes),
    sha256,
    keyIds: [...manifest.keyIds],
    providers: BigInt(manifest.providers),
    connections: BigInt(manifest.connections),
    verifiedRecords: BigInt(manifest.verifiedRecords),
    unreadableRecords: BigInt(manifest.unreadableRecords),
  });
}
