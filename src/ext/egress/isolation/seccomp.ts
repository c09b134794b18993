import {
  type ArgumentCondition,
  errors,
  lastKnownCall,
  type RefusedCall,
  refusedCalls,
} from "./system_calls.js";

/** By the words of `process.arch`: how the kernel marks calls of this architecture (`AUDIT_ARCH_...`). */
const architectures = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;
export type Architecture = keyof typeof architectures;

/** Calls of x32 bear this bit: they have the same mark, and numbers of their own. */
const x32Bit = 0x4000_0000;

/** Of classic BPF (linux/filter.h): a 32-bit word of `struct seccomp_data` is loaded, compared, and the verdict returned. */
const operations = { load: 0x20, equal: 0x15, greater: 0x25, anyBit: 0x45, give: 0x06 } as const;
const verdicts = { allow: 0x7fff_0000, error: 0x0005_0000 } as const;
/** Where they are in `struct seccomp_data`. */
const [callOffset, architectureOffset, argumentsOffset] = [0, 4, 16];

/** After a comparison that holds, `skipped` instructions are left out; after another one, `otherwise`. */
type Instruction = readonly [operation: number, value: number, skipped?: number, otherwise?: number];

const allow: Instruction = [operations.give, verdicts.allow];
const refuse = (error: number): Instruction => [operations.give, verdicts.error | error];

export function isKnownArchitecture(name: string): name is Architecture {
  return Object.hasOwn(architectures, name);
}

/**
 * A seccomp filter for bubblewrap's `--seccomp`: `struct sock_filter` after `struct sock_filter`, little-endian. It refuses the calls of the
 * table, calls that came to Linux later, and those of another architecture, as x32 and i386 on x64.
 */
export function seccompFilter(architecture: Architecture): Buffer {
  const program: Instruction[] = [
    [operations.load, architectureOffset],
    [operations.equal, architectures[architecture], 1, 0],
    refuse(errors.ENOSYS),
    [operations.load, callOffset],
    [operations.anyBit, x32Bit, 0, 1],
    refuse(errors.ENOSYS),
    [operations.greater, lastKnownCall, 0, 1],
    refuse(errors.ENOSYS),
    ...callsOf(architecture).flatMap(([number, rows]) => {
      // The argument was loaded over the number of the call.
      const judged = [...rows.flatMap((row) => refusal(row)), allow];
      return [[operations.equal, number, 0, judged.length] as const, ...judged];
    }),
    allow,
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([operation, value, skipped = 0, otherwise = 0], index) => {
    const at = bytes.writeUInt16LE(operation, index * 8);
    bytes.writeUInt8(otherwise, bytes.writeUInt8(skipped, at));
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  });
  return bytes;
}

/** Its rows by the number of each call. */
function callsOf(architecture: Architecture): (readonly [number, readonly RefusedCall[]])[] {
  const calls = new Map<number, RefusedCall[]>();
  for (const call of refusedCalls) {
    const number = call[architecture];
    if (number !== undefined) calls.set(number, [...(calls.get(number) ?? []), call]);
  }
  return [...calls];
}

/** The call is this one: refuses it where the conditions hold, and else goes on to what follows. */
function refusal({ error, when = [[]] }: RefusedCall): Instruction[] {
  return when.flatMap((conditions) => {
    const row = [refuse(error)];
    // From the last one, since a condition that does not hold leads behind all that follow.
    for (const condition of conditions.toReversed()) row.unshift(...unless(condition, row.length));
    return row;
  });
}

/** Leaves out `length` instructions unless the condition holds. */
function unless(condition: ArgumentCondition, length: number): Instruction[] {
  const load: Instruction = [operations.load, argumentsOffset + 8 * condition.argument];
  if ("anyBitOf" in condition) return [load, [operations.anyBit, condition.anyBitOf, 0, length]];
  if ("is" in condition) return [load, [operations.equal, condition.is, 0, length]];
  const { isNoneOf } = condition;
  const tests = isNoneOf.map(
    (value, index): Instruction => [operations.equal, value, isNoneOf.length - 1 - index + length, 0],
  );
  return [load, ...tests];
}
