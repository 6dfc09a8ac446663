import type { Contract } from './contract.ts';
import { apiError } from './error-codes.ts';
import type { ApiEvent } from './event.ts';
import type { HostSettings, Origin } from './host.ts';

/**
 * Keeps foreign pages from changing anything in a member's name (cross-site request forgery). A browser says where a
 * request comes from, in `Sec-Fetch-Site` and `Origin`: what is there must say "from our own pages", or `Origin` name one
 * of PDS_ALLOWED_ORIGINS. A request with neither is no browser; what it may do rests on the SameSite cookie.
 * Fetch Metadata: https://www.w3.org/TR/fetch-metadata/; OWASP ASVS 5.0, 3.5.
 */
export function refuseForeignPages(
  settings: HostSettings,
  { method }: Pick<Contract, 'method'>,
  event: ApiEvent,
  { host }: Origin,
): void {
  if (method === 'GET' || guestOf(settings, event) !== undefined) return;
  const { headers } = event;
  const site = headers['sec-fetch-site'];
  const page = headers.origin;
  // The app's host may have more names than PDS_APP_ORIGIN says (loopback): the page's must be the one asked for.
  const ours = [settings.PDS_APP_ORIGIN, `${new URL(settings.PDS_APP_ORIGIN).protocol}//${host}`];
  if (site !== undefined && site !== 'same-origin') throw apiError('ORIGIN_FORBIDDEN');
  if (page !== undefined && !ours.includes(page)) throw apiError('ORIGIN_FORBIDDEN');
}

/** The allowed origin whose page this request comes from; undefined for any other, and for what is no browser. */
export function guestOf(
  { PDS_ALLOWED_ORIGINS = [] }: HostSettings,
  { headers }: ApiEvent,
): string | undefined {
  return PDS_ALLOWED_ORIGINS.find((allowed) => allowed === headers.origin);
}
