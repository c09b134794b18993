import { InvalidArgumentError } from "commander";
import { isId } from "../../model/ids.js";

/** @throws InvalidArgumentError */
export function parseConnectionId(text: string): string {
  const id = text.trim().toLowerCase();
  if (!isId(id))
    throw new InvalidArgumentError("It must be the whole UUID of a connection: see nexusd connections.");
  return id;
}
