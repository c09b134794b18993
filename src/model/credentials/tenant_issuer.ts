/**
 * Issuers of Microsoft Entra: its documents and keys for accounts of every tenant name `{tenantid}` where the issuer of a token has the
 * tenant, which the token names in `tid`.
 */
const placeholder = "{tenantid}";

/** What stands in the issuer of a profile for every tenant; `consumers` is a tenant with an id of its own. */
const words = ["common", "organizations"];

const tenantId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a document that names this issuer is the one of many tenants that belongs to the issuer of a profile. */
export function isOfTenants(named: unknown, issuer: string): named is string {
  if (typeof named !== "string" || !named.includes(placeholder)) return false;
  return words.some((word) => named.replace(placeholder, word) === issuer);
}

/** @returns undefined for what is no id of a tenant */
export function issuerOfTenant(template: string, tenant: unknown): string | undefined {
  return typeof tenant === "string" && tenantId.test(tenant)
    ? template.replace(placeholder, tenant)
    : undefined;
}

export function isTenantIssuer(template: string, iss: string): boolean {
  const start = template.indexOf(placeholder);
  const tenant = iss.slice(start, iss.length - (template.length - start - placeholder.length));
  return issuerOfTenant(template, tenant) === iss;
}
