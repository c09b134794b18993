import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";

export function timestampOf(timeMs: number | undefined): Timestamp | undefined {
  return timeMs === undefined ? undefined : timestampFromMs(timeMs);
}

/** Leaves out what is undefined, since an initializer distinguishes it from unset. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
