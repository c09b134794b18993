import { PrivateKeyUnusable, readPrivateKey } from "../../model/credentials/private_key.js";
import { chosenAlgorithm } from "../../oauth/client_assertion.js";
import { Secret } from "../../runtime/secret.js";
import { ProofFiles, refusedFile } from "./proof_files.js";

/** A key has 4 KiB at most; a key file of Google little more. */
const maxBytes = 64 * 1024;

/** Files that hold the private key of a client, and that somebody else may exchange: a mounted secret, an agent of a vault. */
export class KeyFiles extends ProofFiles {
  /** @param deps absolute paths by name, of `NEXUS_SIGNING_KEY_FILES` */
  constructor({ clientKeyFiles: paths }: { readonly clientKeyFiles: Readonly<Record<string, string>> }) {
    super({ paths, setting: "NEXUS_SIGNING_KEY_FILES", kind: "client key file", maxBytes });
  }

  /**
   * The key that the file holds now. Neither path nor content is ever in an error.
   *
   * @param alg it must sign by, of RFC 7518 section 3.1; empty for any
   * @throws GrantFailure before anything is sent: as `ProofFiles.text`, and of kind `client` when the file holds no such key
   */
  async read(name: string, alg: string): Promise<Secret> {
    const text = await this.text(name);
    try {
      chosenAlgorithm(readPrivateKey(text).algorithms, alg);
    } catch (error) {
      if (!(error instanceof PrivateKeyUnusable)) throw error;
      throw refusedFile("client", `the client key file ${name} ${error.message}`);
    }
    return new Secret(text);
  }
}
