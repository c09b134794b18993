import type { ConnectionKey } from "../../domain/access/access.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";

/** How a request names its connection; its rules say that one of both is set. */
export function connectionKey({
  connectionId,
  name,
}: {
  readonly connectionId: string;
  readonly name?: ConnectionName | undefined;
}): ConnectionKey {
  return name ? { name } : { id: connectionId };
}
