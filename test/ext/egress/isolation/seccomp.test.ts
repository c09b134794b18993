import { describe, expect, it } from "vitest";
import { type Architecture, seccompFilter } from "../../../../src/ext/egress/isolation/seccomp.js";
import { refusedCalls } from "../../../../src/ext/egress/isolation/system_calls.js";

const marks = { x64: 0xc000_003e, arm64: 0xc000_00b7, i386: 0x4000_0003 };
const allowed = "allowed";

/** What the kernel does with a call: runs the program over `struct seccomp_data`, as classic BPF is defined. */
function judged(filter: Buffer, mark: number, call: number, ...args: readonly (number | bigint)[]): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call, 0);
  data.writeUInt32LE(mark, 4);
  args.forEach((value, index) => void data.writeBigUInt64LE(BigInt(value), 16 + 8 * index));
  let loaded = 0;
  for (let at = 0; ; at += 1) {
    const [operation, value] = [filter.readUInt16LE(at * 8), filter.readUInt32LE(at * 8 + 4)];
    const test = { 21: () => loaded === value, 37: () => loaded > value, 69: () => (loaded & value) !== 0 }[
      operation
    ];
    if (operation === 0x06) return value === 0x7fff_0000 ? allowed : `errno ${value & 0xffff}`;
    if (operation === 0x20) loaded = data.readUInt32LE(value);
    else if (test) at += filter.readUInt8(at * 8 + (test() ? 2 : 3));
    else throw new Error(`no operation ${operation}`);
  }
}

const [eperm, enosys, noFamily, noProtocol] = ["errno 1", "errno 38", "errno 97", "errno 93"];
/** Calls of x64: what they are, number, arguments, what comes of it. */
const cases: readonly [string, number, readonly (number | bigint)[], string][] = [
  ["read", 0, [3], allowed],
  ["execve", 59, [], allowed],
  ["execve of x32", 0x4000_0208, [], enosys],
  ["ptrace of x32", 0x4000_0209, [], enosys],
  ["a call of the future", 500, [], enosys],
  ["mount", 165, [], eperm],
  ["ptrace", 101, [0], eperm],
  ["keyctl", 250, [], eperm],
  ["bpf", 321, [], eperm],
  ["clone of a thread", 56, [0x003d_0f00], allowed],
  ["clone with a user namespace", 56, [0x1000_0011], eperm],
  ["clone with a mount namespace", 56, [0x0002_0011], eperm],
  ["clone3", 435, [], enosys],
  ["ioctl TCGETS", 16, [0, 0x5401], allowed],
  ["ioctl TIOCSTI", 16, [0, 0x5412], eperm],
  ["ioctl TIOCSTI with high bits, which the kernel cuts off", 16, [0, 0x1_0000_5412n], eperm],
  ["ioctl TIOCLINUX", 16, [0, 0x541c], eperm],
  ["ioctl TIOCSETD", 16, [0, 0x5423], eperm],
  ["socket AF_UNIX", 41, [1, 1, 0], allowed],
  ["socket AF_INET6", 41, [10, 1, 0], allowed],
  ["socket AF_VSOCK", 41, [40, 1, 0], noFamily],
  ["socket AF_PACKET", 41, [17, 3, 0], noFamily],
  ["socket AF_ALG", 41, [38, 5, 0], noFamily],
  ["socket AF_NETLINK for routes", 41, [16, 3, 0], allowed],
  ["socket AF_NETLINK for events of the kernel", 41, [16, 3, 15], noProtocol],
  ["socketpair AF_UNIX", 53, [1, 1, 0], allowed],
  ["socketpair AF_TIPC", 53, [30, 1, 0], noFamily],
  ["chmod 755", 90, [0, 0o755], allowed],
  ["chmod 4755", 90, [0, 0o4755], eperm],
  ["fchmodat 2755", 268, [0, 0, 0o2755], eperm],
  ["fchmodat2 4755", 452, [0, 0, 0o4755], eperm],
  ["openat of a file that is there, with a mode that is not read", 257, [0, 0, 0o2, 0o4755], allowed],
  ["openat that creates with 644", 257, [0, 0, 0o101, 0o644], allowed],
  ["openat that creates with 4755", 257, [0, 0, 0o101, 0o4755], eperm],
  ["openat of O_TMPFILE with 4755", 257, [0, 0, 0o20_200_002, 0o4755], eperm],
  ["personality of x32's own", 135, [0x0800_0000], eperm],
  ["personality as it is", 135, [0xffff_ffff], allowed],
];

describe("the filter of system calls", () => {
  it.each(cases)("%s", (_, call, args, wanted) => {
    expect(judged(seccompFilter("x64"), marks.x64, call, ...args)).toBe(wanted);
  });

  it.each(["x64", "arm64"] as const)("refuses what has no condition, on %s", (architecture: Architecture) => {
    const filter = seccompFilter(architecture);
    for (const row of refusedCalls) {
      const number = row[architecture];
      if (number === undefined || row.when) continue;
      expect([row.name, judged(filter, marks[architecture], number)]).toEqual([
        row.name,
        `errno ${row.error}`,
      ]);
    }
  });

  it("refuses calls of another architecture", () => {
    for (const mark of [marks.i386, marks.arm64]) expect(judged(seccompFilter("x64"), mark, 1)).toBe(enosys);
  });
});
