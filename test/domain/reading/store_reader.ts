import type {
  ConnectionView,
  CredentialReader,
  CurrentToken,
} from "../../../src/domain/connections/credential_reader.js";
import type { Store } from "../../../src/store/store.js";

/** A reader that opens nothing: each connection of the store has a token of its revision. */
export function storeReader(store: Pick<Store, "getConnection">): Pick<CredentialReader, "view" | "viewIf"> {
  const view = (id: string): ConnectionView | undefined => {
    const connection = store.getConnection(id);
    const token = { revision: connection?.credentialRevision } as CurrentToken;
    return connection && { connection, token, problem: undefined };
  };
  return {
    view,
    viewIf: (id, isWanted) => {
      const found = view(id);
      return found && isWanted(found.connection) ? found : undefined;
    },
  };
}
