import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status as statusCodes,
  type VerifyOptions,
} from "@grpc/grpc-js";
import type { Clock } from "../../../runtime/clock.js";
import { type IdentityFiles, IdentityUnreadable } from "./identity_files.js";

/** A link that went dead is noticed in fifteen seconds; many hubs that come back are not asked by everybody at once. */
const channelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 10_000,
  // Whatever was sent may have been acted on: nothing is sent twice.
  "grpc.enable_retries": 0,
  // A page of profiles may be larger than the 4 MiB that are usual.
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  // The hubs are those of NEXUS_UPSTREAM, whatever proxy the environment of the pod names.
  "grpc.enable_http_proxy": 0,
  "grpc.enable_channelz": 0,
  "grpc.use_local_subchannel_pool": 1,
  // One name may stand for many hubs.
  "grpc.service_config": JSON.stringify({
    loadBalancingConfig: [{ pick_first: { shuffleAddressList: true } }],
  }),
};

/** An address is no server name (RFC 6066, section 3), which grpc-js would send it as, and Node 26 refuse. */
const serverName = "address.invalid";

function serverNameOf(host: string): { "grpc.ssl_target_name_override"?: string } {
  return isIP(bare(host)) === 0 ? {} : { "grpc.ssl_target_name_override": serverName };
}

/** The certificate has to be of the address all the same. */
function verifyOf(host: string): VerifyOptions {
  if (isIP(bare(host)) === 0) return {};
  return { checkServerIdentity: (_name, certificate) => checkServerIdentity(bare(host), certificate) };
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

const asTheyAre = (bytes: Buffer): Buffer => bytes;

/** @throws IdentityUnreadable */
function secureCredentials(files: IdentityFiles, host: string): ChannelCredentials {
  const { ca, key, certificate } = files.material();
  try {
    return credentials.createSsl(ca, key, certificate, verifyOf(host));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new IdentityUnreadable(
      `NEXUS_UPSTREAM_CA_FILE, or NEXUS_UPSTREAM_CERT_FILE with NEXUS_UPSTREAM_KEY_FILE, is no PEM that TLS can use (${code})`,
    );
  }
}

/** What a call of a hub is sent with. */
export interface LinkCall {
  /** `nexus.v1.TokenService/GetToken` */
  readonly method: string;
  readonly request: Uint8Array;
  /** Name of the principal at the spoke, for the hub's audit log; none for what the spoke asks for itself. */
  readonly caller?: string;
}

/** The channel of grpc-js to one hub. */
export class HubLink {
  readonly #client: Client;

  /** @throws IdentityUnreadable */
  constructor(
    readonly url: string,
    private readonly files: IdentityFiles,
    userAgent: string,
    private readonly clock: Pick<Clock, "nowMs">,
  ) {
    const { protocol, hostname, port } = new URL(url);
    const secure = protocol === "https:";
    const target = `dns:///${hostname}:${port === "" ? (secure ? 443 : 80) : port}`;
    this.#client = new Client(
      target,
      secure ? secureCredentials(files, hostname) : credentials.createInsecure(),
      { ...channelOptions, "grpc.primary_user_agent": userAgent, ...serverNameOf(hostname) },
    );
  }

  /** Whether there is a connection, or is one within `waitMs`: then a call can be sent. */
  isReady(waitMs: number): Promise<boolean> {
    return new Promise((resolve) =>
      this.#client.waitForReady(this.clock.nowMs() + waitMs, (error) =>
        resolve(error === undefined || error === null),
      ),
    );
  }

  /** @throws ServiceError; the reason of `signal` */
  async call(call: LinkCall, deadlineMs: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    let cancel = (): void => {};
    try {
      return await new Promise<Uint8Array>((resolve, reject) => {
        const sent = this.#client.makeUnaryRequest(
          `/${call.method}`,
          asTheyAre,
          asTheyAre,
          Buffer.from(call.request),
          this.#metadata(call.caller),
          { deadline: this.clock.nowMs() + deadlineMs },
          (error: ServiceError | null, answer?: Buffer) =>
            error ? reject(error) : resolve(answer as Buffer),
        );
        cancel = () => sent.cancel();
        signal?.addEventListener("abort", cancel, { once: true });
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** The answers of a call, in bytes. It ends with a ServiceError, which `cancel` causes too. */
  stream({ method, request }: LinkCall): ClientReadableStream<Buffer> {
    const path = `/${method}`;
    return this.#client.makeServerStreamRequest(
      path,
      asTheyAre,
      asTheyAre,
      Buffer.from(request),
      this.#metadata(undefined),
    );
  }

  close(): void {
    this.#client.close();
  }

  #metadata(caller: string | undefined): Metadata {
    const metadata = new Metadata();
    const token = this.files.token();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    if (caller !== undefined) metadata.set(callerField, Buffer.from(caller, "utf8").toString("base64url"));
    return metadata;
  }
}

/** Names whoever called the spoke, in base64url: a text for the audit log. */
export const callerField = "x-nexus-caller";

/** Whether an error is the answer of a hub or of the channel to it: other errors have codes too, as that of a signal has. */
export function isServiceError(error: unknown): error is ServiceError {
  if (!(error instanceof Error)) return false;
  const { code, metadata } = error as Partial<ServiceError>;
  return typeof code === "number" && metadata instanceof Metadata;
}

export { statusCodes };
