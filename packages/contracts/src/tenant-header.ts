/**
 * Header by which the gateway tells a service whose call it is. A tenant's name may be any text and a header may not: it is
 * percent-encoded.
 */
export const tenantHeader = "x-tenant";

export function encodeTenant(tenant: string): string {
  return encodeURIComponent(tenant);
}

/** @throws URIError for what `encodeTenant` never makes */
export function decodeTenant(header: string): string {
  return decodeURIComponent(header);
}
