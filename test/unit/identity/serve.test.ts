import { didDocument as documentSchema, getHandle, getKey, getPds, IdResolver } from '@atproto/identity';
import { describe, expect, it } from 'vitest';
import type { Did, Handle } from '../../../lib/brands.ts';
import { didDocument } from '../../../lib/identity/document.ts';
import type { HostedIdentity } from '../../../lib/identity/hostnames.ts';
import { newK256Key, newMemberKey } from '../../../lib/identity/keys.ts';
import { serveAtprotoDid, serveDidJson } from '../../../lib/identity/serve.ts';

const now = new Date('2026-05-01T12:00:00Z');
const host = 'alice-a2b3c4.pnptv.test';
const did = `did:web:${host}` as Did;
const handle = 'alice.pnptv.test' as Handle;
const atprotoKey = newK256Key().publicKeyMultibase;
const memberKeys = ['pnptv-1', 'pnptv-2'].map((id) => ({
  id,
  publicKeyMultibase: newMemberKey().publicKeyMultibase,
}));
const serviceEndpoint = 'https://pds.pnptv.test';

const onDidHost: HostedIdentity = {
  kind: 'did',
  did,
  handle,
  atprotoKey,
  memberKeys,
  serviceEndpoint,
  settlesAt: now,
};
const onHandleHost: HostedIdentity = { ...onDidHost, kind: 'handle' };
const HOST_UNKNOWN = expect.objectContaining({ code: 'HOST_UNKNOWN', status: 404 });

describe('didDocument', () => {
  const document = didDocument(onDidHost);

  it('is read by the reference implementation: key, handle and PDS', () => {
    const read = documentSchema.parse(JSON.parse(JSON.stringify(document)));
    expect(getKey(read)).toBe(`did:key:${atprotoKey}`);
    expect(getHandle(read)).toBe(handle);
    expect(getPds(read)).toBe(serviceEndpoint);
  });

  it('names #atproto first, since resolvers take the first match, and a controller everywhere', () => {
    expect(document.verificationMethod.map(({ id }) => id)).toEqual([
      `${did}#atproto`,
      `${did}#pnptv-1`,
      `${did}#pnptv-2`,
    ]);
    for (const method of document.verificationMethod) {
      expect(method).toMatchObject({ type: 'Multikey', controller: did });
    }
  });

  it('lets the member authenticate and assert with his own keys, the PDS with none of them', () => {
    const own = [`${did}#pnptv-1`, `${did}#pnptv-2`];
    expect(document).toMatchObject({ authentication: own, assertionMethod: own });
  });

  it('names no service before the PDS is known', () => {
    const bootstrap = didDocument({ ...onDidHost, serviceEndpoint: null });
    expect(bootstrap).not.toHaveProperty('service');
    expect(getPds(documentSchema.parse(bootstrap))).toBeUndefined();
    expect(getKey(documentSchema.parse(bootstrap))).toBe(`did:key:${atprotoKey}`);
  });

  it('writes the endpoint to the letter, since a PDS compares it so', () => {
    for (const endpoint of ['http://localhost:3000', 'https://pds.pnptv.test']) {
      expect(didDocument({ ...onDidHost, serviceEndpoint: endpoint }).service?.[0]?.serviceEndpoint).toBe(
        endpoint,
      );
    }
  });
});

describe('the two well-known paths', () => {
  it('resolve handle to DID to document with the reference resolver', async () => {
    const served = new Map([
      [`https://${host}/.well-known/did.json`, serveDidJson(onDidHost, now)],
      [`https://${handle}/.well-known/atproto-did`, serveAtprotoDid(onHandleHost, now)],
    ]);
    const resolver = new IdResolver({
      fetch: async (input) => {
        const answer = served.get(input instanceof Request ? input.url : String(input));
        return answer
          ? new Response(answer.body, { headers: { 'content-type': answer.contentType } })
          : new Response(null, { status: 404 });
      },
    });
    const resolved = await resolver.handle.resolveHttp(handle);
    expect(resolved).toBe(did);
    expect(await resolver.did.resolveAtprotoData(did)).toEqual({
      did,
      handle,
      pds: serviceEndpoint,
      signingKey: `did:key:${atprotoKey}`,
    });
  });

  it('name their media types', () => {
    expect(serveDidJson(onDidHost, now).contentType).toBe('application/json');
    expect(serveAtprotoDid(onHandleHost, now)).toMatchObject({ body: did, contentType: 'text/plain' });
  });

  it.each([
    ['settled now', now, 'public, max-age=60, stale-if-error=86400'],
    ['settled long ago', new Date(0), 'public, max-age=60, stale-if-error=86400'],
    ['settling in a moment', new Date(now.getTime() + 1), 'no-store'],
    ['in the middle of a change', null, 'no-store'],
  ])('say how long to keep a document %s', (_, settlesAt, cacheControl) => {
    expect(serveDidJson({ ...onDidHost, settlesAt }, now).cacheControl).toBe(cacheControl);
    expect(serveAtprotoDid({ ...onHandleHost, settlesAt }, now).cacheControl).toBe(cacheControl);
  });

  it('answer 404 on a host that nobody has', () => {
    expect(() => serveDidJson(undefined, now)).toThrow(HOST_UNKNOWN);
    expect(() => serveAtprotoDid(undefined, now)).toThrow(HOST_UNKNOWN);
  });

  it('answer 404 on the member’s other host: a handle is no DID and a DID is no handle', () => {
    expect(() => serveDidJson(onHandleHost, now)).toThrow(HOST_UNKNOWN);
    expect(() => serveAtprotoDid(onDidHost, now)).toThrow(HOST_UNKNOWN);
  });
});
