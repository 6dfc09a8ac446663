import type { ErrorCode } from '../../http/error-codes.ts';
import { apiError } from '../../http/error-codes.ts';
import type { HostSettings } from '../../http/host.ts';

const ERROR_PARAMETER = 'login_error';
// biome-ignore lint/suspicious/noControlCharactersInRegex: browsers drop some of them, and take a backslash for a slash
const AMBIGUOUS = /[\u0000-\u0020\u007f\\]/;

type Hosts = Pick<HostSettings, 'PDS_APP_ORIGIN' | 'PDS_ALLOWED_ORIGINS'>;

/**
 * Where a browser may be sent after a login: a path of our own origin, or a URL of an allowed one; without the error of
 * a login before. Throws `INPUT_INVALID` (400) for anything else: whoever makes our links would choose where they end.
 */
export function readReturnTo(hosts: Hosts, returnTo: string): string {
  const url = allowedUrl(hosts, returnTo);
  if (url === undefined) throw apiError('INPUT_INVALID', { fields: ['return_to'] });
  if (url.searchParams.has(ERROR_PARAMETER)) url.searchParams.delete(ERROR_PARAMETER);
  return locationOf(hosts, url);
}

/** The same place, told what went wrong. */
export function withLoginError(hosts: Hosts, returnTo: string, code: ErrorCode): string {
  const url = new URL(returnTo, hosts.PDS_APP_ORIGIN);
  url.searchParams.set(ERROR_PARAMETER, code);
  return locationOf(hosts, url);
}

function allowedUrl({ PDS_APP_ORIGIN, PDS_ALLOWED_ORIGINS = [] }: Hosts, text: string): URL | undefined {
  const isPath = text.startsWith('/') && !text.startsWith('//');
  if (AMBIGUOUS.test(text) || !URL.canParse(text, isPath ? PDS_APP_ORIGIN : undefined)) return undefined;
  const url = new URL(text, isPath ? PDS_APP_ORIGIN : undefined);
  // Not `url.origin`: that of a blob: is its maker's, and it does not show a user name.
  if (!isPath)
    return PDS_ALLOWED_ORIGINS.some((allowed) => url.href.startsWith(`${allowed}/`)) ? url : undefined;
  // `/.//host` has become one that begins with two slashes: read as a link, it is another host.
  return url.pathname.startsWith('//') ? undefined : url;
}

function locationOf({ PDS_APP_ORIGIN }: Hosts, url: URL): string {
  return url.origin === PDS_APP_ORIGIN ? url.pathname + url.search + url.hash : url.href;
}
