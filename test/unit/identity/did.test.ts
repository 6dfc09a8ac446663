import { randomBytes, randomInt } from 'node:crypto';
import { ensureValidDid } from '@atproto/syntax';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Handle } from '../../../lib/brands.ts';
import { didHost, isDidWeb, newDid } from '../../../lib/identity/did.ts';
import { handleCandidates } from '../../../lib/identity/handle.ts';
import { normalizeHost } from '../../../lib/identity/host.ts';

const alice = 'alice.pnptv.test' as Handle;

describe('newDid', () => {
  it('is the name, six base32 characters and the domain', () => {
    const did = newDid({ handle: alice, domain: 'PNPTV.test', randomBytes });
    expect(did).toMatch(/^did:web:alice-[a-z2-7]{6}\.pnptv\.test$/);
  });

  it('writes random bits with the alphabet of RFC 4648 §6, in lower case', () => {
    const tail = (...bytes: number[]) =>
      newDid({ handle: alice, domain: 'pnptv.test', randomBytes: () => Uint8Array.from(bytes) }).slice(
        14,
        20,
      );
    expect(tail(0x00, 0x00, 0x00, 0x00)).toBe('aaaaaa');
    expect(tail(0xff, 0xff, 0xff, 0xff)).toBe('777777');
    expect(tail(0x66, 0x6f, 0x6f, 0x62)).toBe('mzxw6y'); // "foob": RFC 4648 §10
  });

  it('gives members who take the same name one after another different DIDs', () => {
    const dids = Array.from({ length: 500 }, () =>
      newDid({ handle: alice, domain: 'pnptv.test', randomBytes }),
    );
    expect(new Set(dids).size).toBe(500);
  });

  it('is a valid DID whose label is short enough for DNS, whatever the handle', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\w{1,32}$/), (username) => {
        const wish = { username, strategy: 'username', domain: 'pnptv.app', randomInt } as const;
        for (const handle of handleCandidates(wish).take(14)) {
          const did = newDid({ handle, domain: 'pnptv.app', randomBytes });
          ensureValidDid(did);
          expect(didHost(did)).toMatch(/^(?!.*--)[a-z0-9-]{3,18}-[a-z2-7]{6}\.pnptv\.app$/);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('refuses a domain with which a DID would not fit its column', () => {
    const domain = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(55)}`;
    expect(() => newDid({ handle: `alice.${domain}` as Handle, domain, randomBytes })).toThrow(
      expect.objectContaining({ code: 'DOMAIN_TOO_LONG' }),
    );
  });
});

describe('didHost', () => {
  it('is the host of a did:web', () => {
    expect(didHost('did:web:alice-a1b2c3.pnptv.app')).toBe('alice-a1b2c3.pnptv.app');
  });

  it.each([
    'did:plc:ewvi7nxzyoun6zhxrhs64oiz',
    'did:web:',
    'did:web:localhost',
    'did:web:localhost%3A3001',
    'did:web:pnptv.app:users:alice',
    'did:web:alice.pnptv.app#atproto',
    'did:web:Alice.pnptv.app',
    'did:web:alice.pnptv.app.',
    'did:web:127.0.0.1',
    'alice.pnptv.app',
    '',
  ])('refuses %j', (did) => {
    expect(isDidWeb(did)).toBe(false);
    expect(() => didHost(did)).toThrow(expect.objectContaining({ code: 'DID_INVALID' }));
  });
});

describe('normalizeHost', () => {
  it.each([
    ['alice.pnptv.app', 'alice.pnptv.app'],
    ['Alice.PNPTV.app', 'alice.pnptv.app'],
    ['alice.pnptv.app:3001', 'alice.pnptv.app'],
    ['alice.pnptv.app.', 'alice.pnptv.app'],
    ['alice.pnptv.app.:443', 'alice.pnptv.app'],
    ['alice.pnptv.app:', 'alice.pnptv.app'],
  ])('%s is %s', (header, host) => {
    expect(normalizeHost(header)).toBe(host);
  });

  it.each([
    undefined,
    '',
    '.',
    'localhost',
    'localhost:3001',
    '127.0.0.1',
    '[::1]:3001',
    'alice..pnptv.app',
    '-alice.pnptv.app',
    'alice_smith.pnptv.app',
    'alice.pnptv.app/..',
    "alice.pnptv.app' OR 1=1",
    'alice.pnptv.app, bob.pnptv.app',
    'alice.pnptv.app:3001:3001',
    `${'a'.repeat(64)}.app`,
    `${'a.'.repeat(130)}app`,
    'älice.pnptv.app',
  ])('%j is no host of ours', (header) => {
    expect(normalizeHost(header)).toBeUndefined();
  });
});
