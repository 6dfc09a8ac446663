import { type LookupAddress, lookup as lookUp } from 'node:dns';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { isPublicAddress } from './public-address.ts';

/** Who looks names up: node's own way, or a test's. */
export type LookUp = (
  hostname: string,
  options: { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

type Options = { lookUp?: LookUp; isAllowed?: (address: string) => boolean; ca?: string };

/**
 * A `fetch` for addresses that a member has typed: https to the public internet and nothing else. The connection is made
 * to the very address that was looked at: a name that means another one a moment later gains nothing. Follows no
 * redirect, keeps no connection. What it refuses fails as what cannot be connected to does.
 */
export function publicFetch({
  lookUp: find = lookUp,
  isAllowed = isPublicAddress,
  ca,
}: Options = {}): typeof globalThis.fetch {
  const lookup: LookupFunction = (hostname, { all }, callback) =>
    find(hostname, { all: true }, (error, addresses) => {
      const allowed = addresses?.filter(({ address }) => isAllowed(address)) ?? [];
      // Of a name with public and other addresses none is believed.
      if (error || allowed.length === 0 || allowed.length < addresses.length)
        return callback(error ?? notPublic(hostname), []);
      if (all) callback(null, allowed);
      else callback(null, allowed[0]?.address ?? '', allowed[0]?.family);
    });
  return async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol !== 'https:' || url.username !== '' || (isIP(host) > 0 && !isAllowed(host)))
      throw new TypeError('fetch failed', { cause: notPublic(url.host) });
    const body = request.body ? Buffer.from(await request.arrayBuffer()) : undefined;
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(url, {
        method: request.method,
        headers: Object.fromEntries(request.headers),
        signal: request.signal,
        agent: false,
        lookup,
        ...(ca !== undefined && { ca }),
      });
      outgoing.on('error', (cause) => reject(new TypeError('fetch failed', { cause })));
      outgoing.on('response', (incoming) => {
        const { statusCode: status = 502 } = incoming;
        const bodiless = [101, 204, 205, 304].includes(status);
        if (bodiless) incoming.resume();
        const headers = new Headers();
        for (const [name, values] of Object.entries(incoming.headersDistinct))
          for (const value of values ?? []) headers.append(name, value);
        const stream = Readable.toWeb(incoming) as NodeReadableStream<Uint8Array> as ReadableStream;
        resolve(new Response(bodiless ? null : stream, { status: Math.max(200, status), headers }));
      });
      outgoing.end(body);
    });
  };
}

/** In the form in which node says that a name cannot be connected to. */
function notPublic(host: string): Error {
  return Object.assign(new Error(`${host} is no address of the public internet`), { code: 'ENOTFOUND' });
}
