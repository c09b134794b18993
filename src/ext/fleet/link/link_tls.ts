import { createServer, connect as openTls, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { ListenAddress } from "../../../model/model.js";
import type { Log } from "../../../runtime/runtime.js";

/** The keys of the ring by which hubs know each other. */
export interface LinkKeys {
  /** The newest last. */
  readonly keyIds: readonly string[];
  /** 32 bytes derived from the key; undefined where the ring does not hold it. */
  linkKey(keyId: string): Buffer | undefined;
}

/**
 * TLS with a pre-shared key (RFC 4279; RFC 7905 for the cipher). Each end proves that it holds a key of the fleet's ring, whatever the
 * database says, and the key exchange has forward secrecy. There are no certificates to make, to renew or to pin. Of TLS 1.2, whose server
 * names its keys before the client chooses one: while a ring changes, two hubs need to have one key in common only.
 */
const tlsOptions = {
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
  ALPNProtocols: ["h2"],
} as const;

/** Both ends are in one network. */
const handshakeTimeoutMs = 3_000;
/** Of a hint in a handshake (RFC 4279, section 5.3): sixty keys. */
const maxHintBytes = 1_024;

/** TLS of the fleet listener. */
export class LinkTls {
  constructor(private readonly deps: { readonly keys: LinkKeys; readonly log: Log }) {}

  /** As `ListenerTls`: a server whose connections are accepted when their other end is a hub of this fleet. */
  createServer(_protocols: readonly string[], accept: (socket: TLSSocket) => void): TlsServer {
    const { keys, log } = this.deps;
    const server = createServer({
      ...tlsOptions,
      ALPNProtocols: [...tlsOptions.ALPNProtocols],
      handshakeTimeout: handshakeTimeoutMs,
      pskIdentityHint: keys.keyIds.join(",").slice(-maxHintBytes),
      pskCallback: (_socket, keyId) => keys.linkKey(keyId) ?? null,
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      accept(socket);
    });
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      log.warn(
        { origin: socket.remoteAddress, reason: error.code ?? error.message },
        "a connection to the fleet listener did not prove that it holds a key of the ring",
      );
      socket.destroy();
    });
    return server;
  }
}

/**
 * Begins a connection to another hub. The socket is destroyed where that one does not hold a key of this ring.
 *
 * @param address of kind `tcp`
 */
export function connectToHub(address: Extract<ListenAddress, { kind: "tcp" }>, keys: LinkKeys): TLSSocket {
  const socket = openTls({
    ...tlsOptions,
    ALPNProtocols: [...tlsOptions.ALPNProtocols],
    host: address.host,
    port: address.port,
    pskCallback: (hint) => {
      const theirs = hint?.split(",") ?? [];
      const keyId = keys.keyIds.findLast((candidate) => theirs.includes(candidate));
      const psk = keyId === undefined ? undefined : keys.linkKey(keyId);
      return keyId === undefined || psk === undefined ? null : { psk, identity: keyId };
    },
    // There is no certificate whose name could be looked at.
    checkServerIdentity: () => undefined,
  });
  socket.setTimeout(handshakeTimeoutMs, () => {
    if (!socket.authorized) socket.destroy(new Error("the hub did not answer"));
  });
  socket.once("secureConnect", () => socket.setTimeout(0));
  return socket;
}
