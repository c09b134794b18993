import type { DescMethod } from "@bufbuild/protobuf";
import { rpcName } from "../../../service/pipeline/rpc_access.js";

/**
 * Unary RPCs that change something, or call a provider before they do: only the leader of a fleet carries them out. All others are answered
 * by the hub that is asked; one of those that finds that it must write (`AcquireToken` that needs a link) is asked of the leader then.
 */
const led: ReadonlySet<string> = new Set(
  Object.entries({
    ProviderService: ["CreateProvider", "UpdateProvider", "DeleteProvider"],
    ConnectionService: [
      "RequestConnection",
      "ConfirmConnection",
      "RevokeConnection",
      "DeleteConnection",
      "ReplaceCredential",
      "GetCaptureSchema",
      "CaptureCredential",
      "ImportConnection",
      "RefreshConnection",
    ],
    TokenService: ["RefreshToken", "ReportRejectedToken"],
    AccessService: ["CreateApiKey", "RotateApiKey", "RevokeApiKey"],
    ClientKeyService: ["RotateClientKeys"],
    KeyringService: ["AddKey", "RotateKeyring", "RetireKey"],
    NotificationService: ["TestReceivers"],
    FleetService: ["StepDown"],
  }).flatMap(([service, names]) => names.map((name) => `nexus.v1.${service}/${name}`)),
);

/** Whether an RPC is the leader's whatever it finds. */
export function isLed(method: DescMethod): boolean {
  return led.has(rpcName(method));
}

/** For a test that every name is one of the contract. */
export const ledRpcs: readonly string[] = [...led];
