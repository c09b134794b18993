/**
 * Who acts. `owner` came over the Unix socket, which only the owner of the data folder can open; `admin` showed the API
 * key; `browser` is a person in front of the browser door; `daemon` is the daemon itself.
 */
export interface Principal {
  readonly name: "owner" | "admin" | "browser" | "daemon";
  /** From where: address of the caller's socket, `unix` for a Unix socket, undefined for the daemon itself. */
  readonly origin?: string;
}

export const owner: Principal = { name: "owner" };
export const admin: Principal = { name: "admin" };
export const browser: Principal = { name: "browser" };
export const daemon: Principal = { name: "daemon" };

/** The same one, at an address. */
export function at(principal: Principal, origin: string | undefined): Principal {
  return origin === undefined || origin === "" ? principal : { ...principal, origin };
}
