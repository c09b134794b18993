/** The door of `model/access`: principals, permissions, rules, and the requests that they judge, as plain values. */

export { type Action, actions, isAction, type Role, roles } from "./access_table.js";
export { agentOf, agentOfGrant, isLive, keyPrefix, keyPrincipalName } from "./api_key.js";
export { requestLabels } from "./api_labels.js";
export { type AuditEvent, type AuditEventType, by } from "./audit_event.js";
export {
  type CanonicalTarget,
  canonicalPath,
  canonicalTarget,
  climbs,
  decodingsOf,
  echoesRequest,
  isCanonicalMethod,
  isMethodParameter,
  overriddenBy,
  readingsOf,
  withHyphens,
} from "./canonical_request.js";
export { Permissions } from "./permissions.js";
export { Policy, type PolicyBinding, principalPrefixes, unknownProviders, unruled } from "./policy.js";
export {
  at,
  daemon,
  type Identity,
  type OnBehalfOf,
  owner,
  type Principal,
  type PrincipalKind,
  type Provenance,
} from "./principal.js";
export { isReadingList, isReadOnly, isWithinMethods, readingMethods, readsOnly } from "./reading_requests.js";
export { foldedName, SeveralTexts } from "./request_body.js";
export {
  bodyFacts,
  type DescribedRequest,
  describedHeaders,
  describedUrl,
  type Fact,
  type FactName,
  type Facts,
  factKinds,
  factsOf,
  maxDescribedBytes,
  queryOf,
} from "./request_facts.js";
export {
  exampleOf,
  type TemplateKind,
  templateKinds,
  templatePattern,
} from "./request_template.js";
export {
  type Condition,
  defaultHoldMs,
  type Extent,
  explainRules,
  extents,
  isEncoded,
  maxHoldMs,
  maxRuleApprovers,
  minHoldMs,
  ownLabels,
  type Rule,
  type RuleUses,
  shareText,
  verdicts,
} from "./rules.js";
export {
  CompiledRestriction,
  describeRestriction,
  type Resource,
  type Restriction,
  type RestrictionLists,
  restrictionFrom,
  restrictionViolations,
  Texts,
} from "./scope_restriction.js";
export { serviceAccountPrincipal } from "./service_account.js";
export { parseUseLimit, type UseLimit, useLimitText } from "./use_limit.js";
