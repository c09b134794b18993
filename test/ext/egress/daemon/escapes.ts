/**
 * Ways out of `nexusd run --isolate`, each tried by a program inside. They are written in Python, which calls the kernel without a compiler: `call`
 * makes a system call by name or number, and prints its result or the name of its error; `held` is what a file holds, if it can be read; `attempt` prints what a function answers, or the error.
 */
export interface Escape {
  /** What it tries. */
  readonly name: string;
  /** `given` has the names of `EscapeTargets`. */
  readonly code: string;
  /** All that it may print. */
  readonly observed: RegExp;
  /** Whether it does harm nothing where nothing holds it: there it must get further, so that the trial can fail. */
  readonly leads?: true;
}

/** What is on the machine, for the program to reach. */
export interface EscapeTargets {
  /** The folder that the program works in. */
  readonly work: string;
  /** The data folder, below a folder that is shared, with `admin.key`. */
  readonly data: string;
  /** Of the client, in the working folder. */
  readonly keyFile: string;
  /** A file that is in no shared folder. */
  readonly canary: string;
  /** One in the home folder. */
  readonly homeCanary: string;
  readonly socket: string;
  /** In the abstract namespace, without the zero byte. */
  readonly abstract: string;
  readonly port: number;
  readonly pid: number;
  /** A descriptor that was open where `nexusd run` was started. */
  readonly descriptor: number;
  /** The key of a segment of System V. */
  readonly sharedMemory: number;
  readonly dist: string;
  readonly node: string;
}

const denied = /^EPERM$/;
const unknown = /^ENOSYS$/;
const missing = /^ENOENT$/;
const readOnly = /^EROFS$/;

export const escapes: readonly Escape[] = [
  // What it is.
  {
    name: "has capabilities",
    code: 'print({line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")})',
    observed: /^\{'0{16}'\}$/,
  },
  {
    name: "may get privileges from a program that has them",
    code: 'print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", "Seccomp:"))])',
    observed: /^\['1', '2'\]$/,
    leads: true,
  },
  {
    name: "finds a process without a filter",
    code: 'print({line.split()[1] for pid in os.listdir("/proc") if pid.isdigit() for line in open(f"/proc/{pid}/status") if line.startswith("Seccomp:")})',
    observed: /^\{'2'\}$/,
  },
  {
    name: "finds a process with capabilities",
    code: 'print({line.split()[1] for pid in os.listdir("/proc") if pid.isdigit() for line in open(f"/proc/{pid}/status") if line.startswith("Cap")})',
    observed: /^\{'0{16}'\}$/,
  },
  {
    name: "sets its network",
    code: 'attempt(lambda: open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w"))',
    observed: /^E(ROFS|ACCES)$/,
  },
  {
    name: "opens a port of the system",
    code: 'attempt(lambda: socket.socket().bind(("127.0.0.1", 80)))',
    observed: /^EACCES$/,
    leads: true,
  },
  // Mounts and namespaces.
  {
    name: "makes /etc writable, and writes to it",
    code: 'call("mount", None, "/etc", None, 4096 | 32, None); attempt(lambda: open("/etc/nexusd-escaped", "w"))',
    observed: /^EPERM\nE(ROFS|ACCES)$/,
  },
  {
    name: "unmounts what hides the data folder",
    code: 'call("umount2", given.data, 2); attempt(lambda: open(given.data + "/admin.key").read())',
    observed: /^EPERM\nENOENT$/,
  },
  {
    name: "mounts a file system",
    code: 'call("mount", "none", given.work, "tmpfs", 0, None)',
    observed: denied,
  },
  { name: "mounts /proc anew", code: 'call("mount", "none", given.work, "proc", 0, None)', observed: denied },
  {
    name: "mounts by the newer calls",
    code: 'for each in ["fsopen", "open_tree", "move_mount", "fsconfig", "fsmount", "fspick", "mount_setattr"]: call(each, 0, 0, 0, 0, 0)',
    observed: /^(ENOSYS\n){6}ENOSYS$/,
  },
  {
    name: "changes the root",
    code: 'call("chroot", given.work); call("pivot_root", given.work, given.work)',
    observed: /^EPERM\nEPERM$/,
  },
  {
    name: "makes namespaces",
    code: 'call("unshare", 0x10000000); call("unshare", 0x00020000)',
    observed: /^EPERM\nEPERM$/,
  },
  {
    name: "clones itself into a namespace",
    code: 'call("clone", 0x10000000 | 17, 0, 0, 0, 0)',
    observed: denied,
  },
  {
    name: "clones itself by the call whose flags no filter reads",
    code: 'call("clone3", 0, 0)',
    observed: unknown,
  },
  {
    name: "joins namespaces by their files",
    code: 'for kind in ["mnt", "net", "user", "pid"]: call("setns", os.open(f"/proc/self/ns/{kind}", os.O_RDONLY), 0)',
    observed: /^(EPERM\n){3}EPERM$/,
  },
  { name: "opens a file by its handle", code: 'call("open_by_handle_at", 0, 0, 0)', observed: denied },
  {
    name: "makes a device of the disk",
    code: 'attempt(lambda: os.mknod("disk", 0o060600, os.makedev(8, 0)))',
    observed: denied,
  },
  {
    name: "finds devices of the machine",
    code: 'print(sorted(set(os.listdir("/dev")) - {"console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}))',
    observed: /^\[\]$/,
    leads: true,
  },
  // The kernel's files.
  {
    name: "sets the program that gets core dumps",
    code: 'attempt(lambda: open("/proc/sys/kernel/core_pattern", "w"))',
    observed: /^E(ROFS|ACCES)$/,
  },
  {
    name: "asks for a reboot by /proc/sysrq-trigger",
    code: 'attempt(lambda: open("/proc/sysrq-trigger", "w"))',
    observed: /^E(ROFS|ACCES|NOENT)$/,
  },
  {
    name: "reads the kernel's memory, messages, and keys",
    code: 'for each in ["kcore", "kmsg", "keys", "timer_list", "slabinfo"]: attempt(lambda: open(f"/proc/{each}", "rb").read(1))',
    observed: /^((b''|EACCES|EPERM|ENOENT)\n){4}(b''|EACCES|EPERM|ENOENT)$/,
  },
  {
    name: "finds files of the kernel that it may write",
    code: 'print([os.path.join(above, name) for each in os.listdir("/proc") if not each.isdigit() and not each.endswith("self") for above, _, names in os.walk("/proc/" + each) for name in names if os.access(os.path.join(above, name), os.W_OK)][:9]); print([each for each in os.listdir("/proc") if not os.path.isdir("/proc/" + each) and os.access("/proc/" + each, os.W_OK)])',
    observed: /^\[\]\n\[\]$/,
  },
  { name: "reaches /sys", code: 'attempt(lambda: os.listdir("/sys"))', observed: missing, leads: true },
  // Files.
  {
    name: "reads the admin's key",
    code: 'attempt(lambda: open(given.data + "/admin.key").read())',
    observed: missing,
    leads: true,
  },
  {
    name: "reads it by a link that it makes itself",
    code: 'attempt(lambda: (os.symlink(given.data, "leads"), open("leads/admin.key").read()))',
    observed: missing,
  },
  {
    name: "reads it by the root of another process",
    code: 'attempt(lambda: open(f"/proc/1/root{given.data}/admin.key").read()); attempt(lambda: open(f"/proc/{given.pid}/root{given.data}/admin.key").read())',
    observed: /^(ENOENT|EACCES|EPERM)\nENOENT$/,
  },
  {
    name: "moves away the folder above the data folder, for the next start",
    code: 'above = os.path.dirname(given.data); attempt(lambda: os.rename(above, above + "-moved")); attempt(lambda: os.rename(given.data, given.data + "-moved"))',
    observed: /^EBUSY\nEBUSY$/,
  },
  {
    name: "exchanges the folder above the data folder",
    code: 'above = os.path.dirname(given.data); os.mkdir(above + "-other"); call("renameat2", -100, above, -100, above + "-other", 2)',
    observed: /^EBUSY$/,
  },
  {
    name: "reads the key of the client in the working folder",
    code: "attempt(lambda: open(given.keyFile).read())",
    observed: /^(''|EACCES)$/,
    leads: true,
  },
  {
    name: "moves that key away",
    code: 'attempt(lambda: os.rename(given.keyFile, "moved")); attempt(lambda: os.unlink(given.keyFile))',
    observed: /^EBUSY\nEBUSY$/,
  },
  {
    name: "reads a file that is not shared",
    code: "attempt(lambda: open(given.canary).read())",
    observed: missing,
    leads: true,
  },
  {
    name: "reads the home folder",
    code: "attempt(lambda: open(given.homeCanary).read())",
    observed: missing,
    leads: true,
  },
  {
    name: "reads the passwords of the machine",
    code: 'attempt(lambda: open("/etc/shadow").read())',
    observed: /^(''|EACCES)$/,
  },
  {
    name: "writes to the programs of the machine",
    code: 'attempt(lambda: open("/usr/bin/nexusd-escaped", "w"))',
    observed: readOnly,
  },
  {
    name: "changes nexusd and Node",
    code: 'attempt(lambda: open(given.dist + "/main.js", "a")); attempt(lambda: open(given.node, "a"))',
    observed: /^E(ROFS|ACCES)\nE(ROFS|ACCES|TXTBSY)$/,
  },
  {
    name: "finds sessions of other programs",
    code: 'import glob; print(len(glob.glob(os.path.dirname(os.environ["SSL_CERT_FILE"]).rsplit("-", 1)[0] + "-*")))',
    observed: /^1$/,
  },
  {
    name: "leaves a program that makes others this user",
    code: 'open("program", "w"); attempt(lambda: os.chmod("program", 0o4755)); attempt(lambda: os.chmod("program", 0o2755)); attempt(lambda: os.open("other", os.O_CREAT | os.O_WRONLY, 0o4755)); attempt(lambda: os.mknod("third", 0o104755)); call("openat2", -100, "fourth", 0, 24)',
    observed: /^(EPERM\n){4}ENOSYS$/,
  },
  {
    name: "uses a folder that was open outside",
    code: 'attempt(lambda: os.listdir(f"/proc/self/fd/{given.descriptor}")); attempt(lambda: os.fstat(given.descriptor))',
    observed: /^ENOENT\nEBADF$/,
    leads: true,
  },
  {
    name: "has open what it was not given",
    code: 'print(sorted(int(each) for each in os.listdir("/proc/self/fd"))[:-1])',
    observed: /^\[0, 1, 2\]$/,
  },
  // The environment.
  {
    name: "reads secrets of others in its environment",
    code: 'print("secret-of-others" in str(os.environ), [name for name in os.environ if name.startswith("NEXUS")])',
    observed: /^False \[\]$/,
    leads: true,
  },
  {
    name: "reads them in the environment of other processes",
    code: 'print(any(b"secret-of-others" in held(f"/proc/{pid}/environ") for pid in os.listdir("/proc") if pid.isdigit()))',
    observed: /^False$/,
    leads: true,
  },
  // Other processes.
  {
    name: "signals a process of the machine",
    code: "attempt(lambda: os.kill(given.pid, 0))",
    observed: /^ESRCH$/,
    leads: true,
  },
  {
    name: "opens a process of the machine",
    code: "attempt(lambda: os.pidfd_open(given.pid))",
    observed: /^ESRCH$/,
    leads: true,
  },
  {
    name: "sees processes of the machine",
    code: 'print(sum(each.isdigit() for each in os.listdir("/proc")) < 10)',
    observed: /^True$/,
    leads: true,
  },
  {
    name: "traces a process",
    code: 'call("ptrace", 0, 0, 0, 0); call("ptrace", 16, os.getppid(), 0, 0)',
    observed: /^EPERM\nEPERM$/,
  },
  {
    name: "reads the memory of another process",
    code: 'call("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0); call("process_vm_writev", os.getppid(), 0, 0, 0, 0, 0)',
    observed: /^EPERM\nEPERM$/,
  },
  { name: "takes a descriptor of another process", code: 'call("pidfd_getfd", 0, 0, 0)', observed: denied },
  {
    name: "finds shared memory of the machine",
    code: "library.shmget.restype = ctypes.c_int; print(library.shmget(given.sharedMemory, 0, 0))",
    observed: /^-1$/,
    leads: true,
  },
  { name: "measures the machine", code: 'call("perf_event_open", 0, 0, 0, 0, 0)', observed: denied },
  // Keys of the kernel.
  {
    name: "reads the keyring of the session",
    code: 'call("keyctl", 0, -3, 0)',
    observed: denied,
    leads: true,
  },
  {
    name: "adds a key, and asks for one",
    code: 'call("add_key", "user", "nexusd-test", "x", 1, -3); call("request_key", "user", "nexusd-test", None, 0)',
    observed: /^EPERM\nEPERM$/,
  },
  {
    name: "lists keys",
    code: 'attempt(lambda: open("/proc/keys").read())',
    observed: /^(''|ENOENT|EACCES)$/,
  },
  // The terminal.
  {
    name: "types into a terminal",
    code: 'import fcntl, pty; _, slave = pty.openpty(); attempt(lambda: fcntl.ioctl(slave, 0x5412, b"x")); call("ioctl", slave, 0x100005412, "x")',
    observed: /^EPERM\nEPERM$/,
  },
  {
    name: "uses the console and its line disciplines",
    code: 'import pty; _, slave = pty.openpty(); [call("ioctl", slave, each, "x") for each in [0x541c, 0x541d, 0x5423]]',
    observed: /^EPERM\nEPERM\nEPERM$/,
  },
  {
    name: "opens the terminal of nexusd run",
    code: 'attempt(lambda: open("/dev/tty", "w"))',
    observed: /^ENXIO$/,
  },
  // Parts of the kernel.
  {
    name: "loads programs into the kernel",
    code: 'call("bpf", 0, 0, 0); call("init_module", 0, 0, 0); call("finit_module", 0, 0, 0); call("kexec_load", 0, 0, 0, 0)',
    observed: /^(EPERM\n){3}EPERM$/,
  },
  { name: "delays the kernel in its own memory", code: 'call("userfaultfd", 0)', observed: denied },
  {
    name: "passes calls by a ring, around the filter",
    code: 'call("io_uring_setup", 1, 0)',
    observed: unknown,
  },
  {
    name: "stops or slows the machine",
    code: 'call("reboot", 0, 0, 0, 0); call("swapoff", "/x"); call("syslog", 3, 0, 0); call("clock_settime", 0, 0)',
    observed: /^(EPERM\n){3}EPERM$/,
  },
  { name: "has fixed addresses", code: 'call("personality", 0x40000)', observed: denied, leads: true },
  ...(process.arch === "x64"
    ? [
        { name: "calls by the numbers of x32", code: "call(0x40000000 | 39)", observed: unknown },
        {
          name: "calls as a program of 32 bits",
          // mov eax, 20 (getpid); int 0x80; ret
          code: 'import mmap; page = mmap.mmap(-1, 4096, prot=7); page.write(bytes.fromhex("b814000000cd80c3")); print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())',
          observed: /^-38$/,
        },
      ]
    : []),
  { name: "calls what came to Linux later", code: "call(470); call(600)", observed: /^ENOSYS\nENOSYS$/ },
  // The network.
  {
    name: "reaches the host of a virtual machine",
    code: "attempt(lambda: socket.socket(40, socket.SOCK_STREAM))",
    observed: /^EAFNOSUPPORT$/,
  },
  {
    name: "uses sockets of other families",
    code: "for family in [17, 38, 31, 29, 30, 44]: attempt(lambda: socket.socket(family, socket.SOCK_RAW))",
    observed: /^(EAFNOSUPPORT\n){5}EAFNOSUPPORT$/,
  },
  {
    name: "sends packets of its own",
    code: "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
    observed: denied,
  },
  {
    name: "hears events of the kernel",
    code: "attempt(lambda: socket.socket(16, socket.SOCK_RAW, 15)); attempt(lambda: socket.socket(16, socket.SOCK_RAW, 9))",
    observed: /^EPROTONOSUPPORT\nEPROTONOSUPPORT$/,
    leads: true,
  },
  {
    name: "reaches the daemon by TCP",
    code: 'attempt(lambda: socket.create_connection(("127.0.0.1", given.port), 5).close())',
    observed: /^ECONNREFUSED$/,
    leads: true,
  },
  {
    name: "reaches the daemon by its socket",
    code: "attempt(lambda: socket.socket(socket.AF_UNIX).connect(given.socket))",
    observed: missing,
    leads: true,
  },
  {
    name: "reaches a socket of the abstract namespace",
    // Node pads the name with zero bytes.
    code: 'attempt(lambda: socket.socket(socket.AF_UNIX).connect(("\\0" + given.abstract).ljust(108, "\\0")))',
    observed: /^ECONNREFUSED$/,
    leads: true,
  },
  {
    name: "reaches metadata services and the network",
    code: 'for each in ["169.254.169.254", "192.0.2.1", "10.0.0.1"]: attempt(lambda: socket.create_connection((each, 80), 5))',
    observed: /^(ENETUNREACH\n){2}ENETUNREACH$/,
  },
  {
    name: "sends datagrams",
    code: 'attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("192.0.2.1", 53)))',
    observed: /^ENETUNREACH$/,
  },
  {
    name: "sets up a network device",
    code: 'import fcntl; attempt(lambda: fcntl.ioctl(socket.socket(), 0x8914, b"lo".ljust(16, b"\\0") + b"\\1\\0".ljust(24, b"\\0")))',
    observed: denied,
  },
  {
    name: "reaches another host through the proxy",
    code: 'import base64, urllib.parse; at = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"]); there = socket.create_connection((at.hostname, at.port), 20); password = base64.b64encode(f"{at.username}:{at.password}".encode()).decode(); there.sendall(f"CONNECT 192.0.2.1:443 HTTP/1.1\\r\\nproxy-authorization: Basic {password}\\r\\n\\r\\n".encode()); print(there.recv(100).split()[1].decode())',
    observed: /^403$/,
  },
];
