import "lmdb";

declare module "lmdb" {
  /** The bytes on disk of a key in the ordered encoding: what lmdb itself writes. */
  export function keyValueToBuffer(key: unknown): Buffer;

  interface DatabaseOptions {
    /** Instead of `keyEncoding`. */
    keyEncoder?: {
      /** @returns the end of the key in `target` */
      writeKey(key: unknown, target: Uint8Array, start: number): number;
      readKey(source: Uint8Array, start: number, end: number): unknown;
      enableNullTermination?(): void;
    };
  }
}
