import { timingSafeEqual } from 'node:crypto';
import type { HostKind } from './contract.ts';
import { apiError } from './error-codes.ts';
import type { ApiEvent } from './event.ts';

export type HostSettings = {
  PDS_APP_ORIGIN: string;
  PDS_DOMAIN: string;
  PDS_ORIGIN_SECRET?: string | undefined;
  /** Origins beside our own whose pages may call us in a member's name. */
  PDS_ALLOWED_ORIGINS?: readonly string[] | undefined;
};
/** The same, for whoever reads them: every route does. */
export const HOST_SETTINGS = [
  'PDS_APP_ORIGIN',
  'PDS_DOMAIN',
  'PDS_ORIGIN_SECRET',
  'PDS_ALLOWED_ORIGINS',
] as const satisfies readonly (keyof HostSettings)[];

/** Who asks and for whom, as far as the way of the request can be believed. */
export type Origin = {
  /** The host that was asked for, in lower case, with its port if it has one. */
  host: string;
  /** The address of the client. */
  address: string;
};

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(?=:|$)/;

/**
 * The host and address of a request. Where an edge stands in front (PDS_ORIGIN_SECRET is set), they come from the
 * headers that it sets, `x-pds-host` and `x-pds-address`, and only together with its secret. Without one they come
 * from the request itself, and these headers mean nothing. Throws `EDGE_REQUIRED` (403) for a request that went past
 * the edge.
 */
export function originOf(settings: HostSettings, event: ApiEvent): Origin {
  const { headers, requestContext } = event;
  const { domainName, http } = requestContext;
  const secret = settings.PDS_ORIGIN_SECRET;
  if (secret === undefined) {
    return { host: (headers.host ?? domainName).toLowerCase(), address: http.sourceIp };
  }
  const host = headers['x-pds-host'];
  if (!equalInConstantTime(headers['x-origin-secret'] ?? '', secret) || !host)
    throw apiError('EDGE_REQUIRED');
  return { host: host.toLowerCase(), address: headers['x-pds-address'] ?? http.sourceIp };
}

/**
 * Which kind of host this is: the app's own, or a member's name under PDS_DOMAIN; undefined for any other.
 * An app on localhost answers at the loopback addresses too.
 */
export function hostKind(settings: HostSettings, host: string): HostKind | undefined {
  const app = new URL(settings.PDS_APP_ORIGIN);
  const name = host.replace(/:\d+$/, '').replace(/\.$/, '');
  const port = app.protocol === 'https:' ? ':443' : ':80';
  const bare = host.endsWith(port) ? host.slice(0, -port.length) : host;
  if (bare === app.host) return 'app';
  if (
    LOOPBACK.test(app.host) &&
    bare.replace(LOOPBACK, 'localhost') === app.host.replace(LOOPBACK, 'localhost')
  ) {
    return 'app';
  }
  return name.endsWith(`.${settings.PDS_DOMAIN}`) ? 'member' : undefined;
}

/** Throws 404 unless a host of this kind was asked for. Each kind answers its own routes and no other's. */
export function admitHost(settings: HostSettings, wanted: HostKind, { host }: Origin): void {
  if (hostKind(settings, host) === wanted) return;
  throw apiError(wanted === 'member' ? 'HOST_UNKNOWN' : 'NOT_FOUND');
}

/** Equality that takes as long for the first differing byte as for the last; lengths are no secret. */
export function equalInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
