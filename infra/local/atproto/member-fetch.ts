import dns from 'node:dns/promises';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

export type MemberHosts = {
  /** The domain under which members' names lie, e.g. `pnptv.test`. */
  domain: string;
  /** Who answers for all of them here, e.g. `http://127.0.0.1:3001`. */
  gatewayUrl: string;
};

/**
 * A `fetch` that finds members' hosts although no DNS knows them: a request to `https://<name>.<domain>/…` goes to
 * the gateway, with the name in its Host header; every other request goes to `fetch` untouched.
 * A redirect by the gateway is an error, since a member's well-known paths have none.
 *
 * @NOTE Node's own fetch overwrites a Host header with the URL's host, hence http.request.
 */
export function memberHostFetch({
  domain,
  gatewayUrl,
  fetch,
}: MemberHosts & { fetch: typeof globalThis.fetch }) {
  const isMemberHost = (host: string) => host === domain || host.endsWith(`.${domain}`);
  return async function fetchMemberHost(...[input, init]: Parameters<typeof fetch>): Promise<Response> {
    const url = new URL(input instanceof Request ? input.url : input);
    if (!isMemberHost(url.hostname)) return fetch(input, init);
    return askGateway(gatewayUrl, new Request(input, init));
  };
}

/**
 * Lets this whole process find members' hosts: `globalThis.fetch` by {@link memberHostFetch}, and DNS TXT look-ups
 * (`_atproto.<handle>`) answered at once with "not found" instead of by a resolver that may time out.
 * Returns what undoes it.
 */
export function reachMemberHosts(hosts: MemberHosts): () => void {
  const { fetch } = globalThis;
  const { resolveTxt } = dns;
  globalThis.fetch = memberHostFetch({ ...hosts, fetch });
  dns.resolveTxt = async (name) => {
    if (!name.endsWith(`.${hosts.domain}`)) return resolveTxt.call(dns, name);
    throw Object.assign(new Error(`queryTxt ENOTFOUND ${name}`), { code: 'ENOTFOUND', hostname: name });
  };
  syncBuiltinESMExports();
  return () => {
    globalThis.fetch = fetch;
    dns.resolveTxt = resolveTxt;
    syncBuiltinESMExports();
  };
}

async function askGateway(gatewayUrl: string, request: Request): Promise<Response> {
  const { host, pathname, search } = new URL(request.url);
  const outgoing = httpRequest(new URL(pathname + search, gatewayUrl), {
    method: request.method,
    headers: { ...Object.fromEntries(request.headers), host },
    signal: request.signal,
  });
  outgoing.end(request.body ? Buffer.from(await request.arrayBuffer()) : undefined);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  const status = incoming.statusCode ?? 502;
  if (status >= 300 && status < 400 && status !== 304) {
    incoming.destroy();
    throw new TypeError(`fetch failed: ${host} redirects`);
  }
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const bodiless = request.method === 'HEAD' || [204, 205, 304].includes(status);
  if (bodiless) incoming.resume();
  const body = bodiless
    ? null
    : (Readable.toWeb(incoming) as NodeReadableStream<Uint8Array> as ReadableStream);
  const response = new Response(body, { status, headers });
  return Object.defineProperty(response, 'url', { value: request.url });
}
