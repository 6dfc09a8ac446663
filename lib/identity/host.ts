const HOSTNAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The name in a Host header as `hostnames` stores it: lower case, without port and trailing dot.
 * Undefined when it is missing or no domain name (IP addresses and single labels are not).
 */
export function normalizeHost(header: string | undefined): string | undefined {
  const host = header
    ?.toLowerCase()
    .replace(/:\d{0,5}$/, '')
    .replace(/\.$/, '');
  return host && HOSTNAME.test(host) ? host : undefined;
}
