import { afterAll, beforeAll, beforeEach } from "vitest";

type Closable = { close?(): unknown; stop?(): unknown };

/**
 * What every test of the file or `describe` gets anew: made before the test, and closed after it by `close` or `stop`, if it has one of
 * them. The answer stands for the one of the running test, as `let` and two hooks would; it is for objects with methods, not for data.
 */
export function perTest<T extends object>(make: () => T | Promise<T>): T {
  const current = new Current<T>();
  beforeEach(async () => {
    const made = await make();
    current.value = made;
    return () => close(made);
  });
  return current.standIn;
}

/** The same for all tests together. */
export function perSuite<T extends object>(make: () => T | Promise<T>): T {
  const current = new Current<T>();
  beforeAll(async () => {
    current.value = await make();
  });
  afterAll(() => current.value && close(current.value));
  return current.standIn;
}

function close(value: Closable): unknown {
  return value.close ? value.close() : value.stop?.();
}

/** Hands everything to what `current` answers; methods run on the value itself, which private fields need. */
export function standInFor<T extends object>(current: () => T): T {
  return new Proxy({} as T, {
    get: (_, name) => {
      const found = Reflect.get(current(), name, current()) as unknown;
      return typeof found === "function" ? found.bind(current()) : found;
    },
    set: (_, name, value) => Reflect.set(current(), name, value, current()),
    has: (_, name) => Reflect.has(current(), name),
    getPrototypeOf: () => Reflect.getPrototypeOf(current()),
  });
}

class Current<T extends object> {
  value: T | undefined;
  readonly standIn = standInFor(() => {
    if (this.value === undefined) throw new Error("what stands before a test is made when the test begins");
    return this.value;
  });
}
