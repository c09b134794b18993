/** What a machine's kernel calls a system call; undefined where the architecture has none of that name. */
interface Numbers {
  readonly x64: number | undefined;
  readonly arm64: number | undefined;
}

/** What an argument must be for a call to be refused; only its low 32 bits count, as in the kernel. */
export type ArgumentCondition =
  | { readonly argument: number; readonly anyBitOf: number }
  | { readonly argument: number; readonly is: number }
  | { readonly argument: number; readonly isNoneOf: readonly number[] };

export interface RefusedCall extends Numbers {
  readonly name: string;
  /** What the program gets (errno). */
  readonly error: number;
  /** The call is refused where all conditions of one row hold; always without rows. */
  readonly when?: readonly (readonly ArgumentCondition[])[];
}

/** `errno`, as both architectures number it. */
export const errors = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 };
const { EPERM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT } = errors;

/** The newest call that was read before it was left open. Later ones are refused with ENOSYS, as by an older kernel. */
export const lastKnownCall = 469;

/** New mount, cgroup, UTS, IPC, user, PID, and network namespaces (clone(2)). */
const namespaceFlags =
  0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;
/** Set-user-ID and set-group-ID: of a file in a shared folder they would count outside. */
const setIdBits = 0o6000;
/** O_CREAT and O_TMPFILE: without them, the mode is not read. */
const createFlags = 0o100 | 0o20_000_000;
const setsId = (argument: number): ArgumentCondition => ({ argument, anyBitOf: setIdBits });
const creates = (argument: number): ArgumentCondition => ({ argument, anyBitOf: createFlags });

const always = (error: number, calls: Readonly<Record<string, readonly [number?, number?]>>): RefusedCall[] =>
  Object.entries(calls).map(([name, [x64, arm64]]) => ({ name, x64, arm64, error }));

/** Numbers are those of the kernel's `unistd_64.h` (x64) and `asm-generic/unistd.h` (arm64). */
export const refusedCalls: readonly RefusedCall[] = [
  // Namespaces and mounts: what hides the machine.
  ...always(EPERM, {
    mount: [165, 40],
    umount2: [166, 39],
    pivot_root: [155, 41],
    chroot: [161, 51],
    unshare: [272, 97],
    setns: [308, 268],
    open_by_handle_at: [304, 265],
  }),
  ...always(ENOSYS, {
    open_tree: [428, 428],
    move_mount: [429, 429],
    fsopen: [430, 430],
    fsconfig: [431, 431],
    fsmount: [432, 432],
    fspick: [433, 433],
    mount_setattr: [442, 442],
    open_tree_attr: [467, 467],
  }),
  { name: "clone", x64: 56, arm64: 220, error: EPERM, when: [[{ argument: 0, anyBitOf: namespaceFlags }]] },
  // Their flags are in memory, which a filter cannot read. Programs fall back to `clone` and `openat`.
  ...always(ENOSYS, { clone3: [435, 435], openat2: [437, 437] }),
  // Keys of the kernel, which belong to the session of the user.
  ...always(EPERM, { add_key: [248, 217], request_key: [249, 218], keyctl: [250, 219] }),
  // Other processes.
  ...always(EPERM, {
    ptrace: [101, 117],
    process_vm_readv: [310, 270],
    process_vm_writev: [311, 271],
    process_madvise: [440, 440],
    kcmp: [312, 272],
    pidfd_getfd: [438, 438],
    perf_event_open: [298, 241],
  }),
  // The terminal: typing into it, its console, and its line disciplines.
  {
    ...{ name: "ioctl", x64: 16, arm64: 29, error: EPERM },
    when: [0x5412, 0x541c, 0x541d, 0x5423].map((is) => [{ argument: 1, is }]),
  },
  // Sockets that no network namespace holds, as those to the host of a virtual machine: only UNIX, IPv4, IPv6, and netlink are open.
  ...([["socket", 41, 198] as const, ["socketpair", 53, 199] as const] as const).map(
    ([name, x64, arm64]): RefusedCall => ({
      ...{ name, x64, arm64, error: EAFNOSUPPORT },
      when: [[{ argument: 0, isNoneOf: [0, 1, 2, 10, 16] }]],
    }),
  ),
  // Of netlink, only routes and addresses.
  {
    ...{ name: "socket", x64: 41, arm64: 198, error: EPROTONOSUPPORT },
    when: [
      [
        { argument: 0, is: 16 },
        { argument: 2, isNoneOf: [0] },
      ],
    ],
  },
  { name: "fchmod", x64: 91, arm64: 52, error: EPERM, when: [[setsId(1)]] },
  { name: "chmod", x64: 90, arm64: undefined, error: EPERM, when: [[setsId(1)]] },
  { name: "fchmodat", x64: 268, arm64: 53, error: EPERM, when: [[setsId(2)]] },
  { name: "fchmodat2", x64: 452, arm64: 452, error: EPERM, when: [[setsId(2)]] },
  { name: "creat", x64: 85, arm64: undefined, error: EPERM, when: [[setsId(1)]] },
  { name: "mknod", x64: 133, arm64: undefined, error: EPERM, when: [[setsId(1)]] },
  { name: "mknodat", x64: 259, arm64: 33, error: EPERM, when: [[setsId(2)]] },
  { name: "open", x64: 2, arm64: undefined, error: EPERM, when: [[creates(1), setsId(2)]] },
  { name: "openat", x64: 257, arm64: 56, error: EPERM, when: [[creates(2), setsId(3)]] },
  // PER_LINUX, PER_LINUX32, UNAME26, and the question which one is set.
  {
    ...{ name: "personality", x64: 135, arm64: 92, error: EPERM },
    when: [[{ argument: 0, isNoneOf: [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] }]],
  },
  // Parts of the kernel that programs do not need, and in which privileges were won before.
  ...always(ENOSYS, {
    io_uring_setup: [425, 425],
    io_uring_enter: [426, 426],
    io_uring_register: [427, 427],
    _sysctl: [156],
    create_module: [174],
    get_kernel_syms: [177],
    query_module: [178],
    nfsservctl: [180, 42],
    afs_syscall: [183],
    security: [185],
    vserver: [236],
  }),
  ...always(EPERM, {
    bpf: [321, 280],
    userfaultfd: [323, 282],
    fanotify_init: [300, 262],
    modify_ldt: [154],
    uselib: [134],
    lookup_dcookie: [212, 18],
    get_mempolicy: [239, 236],
    set_mempolicy: [238, 237],
    mbind: [237, 235],
    move_pages: [279, 239],
    migrate_pages: [256, 238],
    set_mempolicy_home_node: [450, 450],
  }),
  // The machine itself.
  ...always(EPERM, {
    init_module: [175, 105],
    finit_module: [313, 273],
    delete_module: [176, 106],
    kexec_load: [246, 104],
    kexec_file_load: [320, 294],
    reboot: [169, 142],
    swapon: [167, 224],
    swapoff: [168, 225],
    acct: [163, 89],
    quotactl: [179, 60],
    quotactl_fd: [443, 443],
    syslog: [103, 116],
    settimeofday: [164, 170],
    clock_settime: [227, 112],
    clock_adjtime: [305, 266],
    ioperm: [173],
    iopl: [172],
    vhangup: [153, 58],
  }),
];
