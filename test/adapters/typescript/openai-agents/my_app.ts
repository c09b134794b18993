/** The application's own part of the page. */
import { scripted } from "./harness.js";

export const model = scripted("list_repos", () => [[{}]], []);
