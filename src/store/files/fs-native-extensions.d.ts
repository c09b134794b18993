declare module "fs-native-extensions" {
  /** Exclusive lock of the open file, released when it is closed; false when another open file holds it. */
  export function tryLock(descriptor: number): boolean;
}
