import { StartRefused } from "../../daemon/extension.js";

/** The providers file is missing at the start: the daemon does not start without the providers that it was told to keep. */
export class ProvidersFileError extends StartRefused {
  override readonly name = "ProvidersFileError";
}
