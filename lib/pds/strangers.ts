import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { publicFetch } from './public-fetch.ts';

/** PDSs and names that a member has typed: nothing that they say of themselves is believed. */
export type Strangers = {
  readonly fetch: typeof globalThis.fetch;
  /** They may lie in a private network, or do without TLS. */
  readonly privateAllowed: boolean;
  readonly resolveTxt: (name: string) => Promise<string[][]>;
};

/** Ours, since node's own may ask for a minute. */
const DNS = { timeout: 2_000, tries: 2 };

export function openStrangers({
  PDS_PRIVATE_TARGETS: privateAllowed,
}: {
  PDS_PRIVATE_TARGETS: boolean;
}): Strangers {
  // Late: on one machine `fetch` is replaced by one that finds members' hosts.
  const fetch: typeof globalThis.fetch = privateAllowed
    ? (...args) => globalThis.fetch(...args)
    : publicFetch();
  const dns = new Resolver(DNS);
  return { fetch, privateAllowed, resolveTxt: (name) => dns.resolveTxt(name) };
}

/**
 * Whether a document may name this as a PDS: the origin of a domain name over TLS, as `new URL` spells it. What it
 * resolves to is looked at when it is asked. https://atproto.com/specs/did#did-documents
 */
export function isTarget({ privateAllowed }: Pick<Strangers, 'privateAllowed'>, endpoint: string): boolean {
  const url = URL.parse(endpoint);
  if (url === null || url.origin !== endpoint) return false;
  if (privateAllowed) return /^https?:$/.test(url.protocol);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return url.protocol === 'https:' && host.includes('.') && !host.endsWith('.') && isIP(host) === 0;
}

/** The DID by which a PDS at this endpoint goes, as every PDS has it: did:web of its host. */
export function didOfEndpoint(endpoint: string): string {
  return `did:web:${new URL(endpoint).host.replace(':', '%3A')}`;
}
