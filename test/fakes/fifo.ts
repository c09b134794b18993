import koffi from "koffi";

const mkfifo = koffi.load(null).func("int mkfifo(const char *path, uint32_t mode)");

export function makeFifo(path: string): void {
  if (mkfifo(path, 0o600) !== 0) throw new Error(`mkfifo: ${koffi.errno()}`);
}
