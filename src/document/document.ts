/** The door of `document`: YAML files that a person writes, and what is wrong in them. */

export { DocumentError, type DocumentViolation, formatViolations } from "./document_error.js";
export { FileUnreadable, type KeepableFile, KeptFile } from "./kept_file.js";
export { reference, withoutVariablesOf } from "./named_variables.js";
export {
  type Expansion,
  meantKeys,
  type Path,
  readYaml,
  unknownKeys,
  type YamlDocument,
} from "./yaml_document.js";
