import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanDetails, cleanText } from '../../../lib/audit/details.ts';
import { sealEnvelope } from '../../../lib/vault/envelope.ts';
import { formatSealed, joinSealed } from '../../../lib/vault/sealed.ts';

const JWT = 'eyJhbGciOiJFUzI1NksifQ.eyJpc3MiOiJkaWQ6d2ViOmEifQ.c2lnbmF0dXJl';

describe('cleanDetails', () => {
  it('keeps what an entry is for', () => {
    const details = {
      pds_did: 'did:web:alice-a1b2c3.pnptv.app',
      attempt: 2,
      key_id: 'pnptv-1',
      checks: [true, null],
    };
    expect(cleanDetails(details)).toEqual(details);
  });

  it.each([
    'password',
    'accountPassword',
    'access_token',
    'refreshJwt',
    'private_key',
    'bootstrapKey',
    'client_secret',
    'cookie',
    'Authorization',
    'initData',
    'stack',
    'inviteCode',
  ])('removes a member named %s, however deep', (name) => {
    expect(cleanDetails({ answer: { [name]: 'hunter2' } })).toEqual({ answer: { [name]: '[redacted]' } });
  });

  it('keeps name and message of an error, not its stack, cause or fields', () => {
    const error = Object.assign(new TypeError('fetch failed', { cause: new Error('inner') }), {
      password: 'hunter2',
    });
    expect(cleanDetails({ error })).toEqual({ error: { name: 'TypeError', message: 'fetch failed' } });
  });

  it('never holds bytes', () => {
    expect(cleanDetails({ seed: new Uint8Array(32) })).toEqual({ seed: '[redacted]' });
  });

  it('keeps a member named __proto__ as a member', () => {
    const details = JSON.parse('{"__proto__": {"admin": true}}');
    expect(JSON.stringify(cleanDetails(details))).toBe('{"__proto__":{"admin":true}}');
  });

  it('ends for an object that contains itself', () => {
    const endless: Record<string, unknown> = {};
    endless.self = endless;
    expect(JSON.stringify(cleanDetails(endless))).toContain('[redacted]');
  });

  it('keeps numbers as JSON has them', () => {
    expect(cleanDetails({ a: -0, b: Number.NaN, c: -1.5 })).toEqual({ a: 0, b: null, c: -1.5 });
  });

  it('takes anything and gives JSON that survives being written and read', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.anything({ withBigInt: true, withDate: true })),
        (details) => {
          const clean = cleanDetails(details);
          expect(JSON.parse(JSON.stringify(clean))).toEqual(clean);
        },
      ),
    );
  });
});

describe('cleanText', () => {
  it.each([
    ['a JWT', `refused ${JWT} today`, 'refused [redacted] today'],
    ['a bot token', 'POST /bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send', 'POST /bot[redacted]/send'],
    ['an Authorization header', 'sent Basic YWRtaW46aHVudGVyMg==', 'sent Basic [redacted]'],
    [
      'a password in a URL',
      'postgres://pds_api:hunter2@db/pds is down',
      'postgres://[redacted]@db/pds is down',
    ],
    ['a stack trace', 'Error: no\n    at f (file.ts:1:1)\n    at g (file.ts:2:1)', 'Error: no'],
  ])('removes %s', (_, text, clean) => {
    expect(cleanText(text)).toBe(clean);
  });

  it('removes a sealed value, as the vault writes it now', () => {
    const envelope = sealEnvelope(randomBytes(32), 'secret', new Uint8Array(), randomBytes(40));
    const sealed = joinSealed(formatSealed(randomUUID(), envelope));
    expect(cleanText(`cannot open ${sealed} here`)).toBe('cannot open [redacted] here');
  });

  it('keeps at most 2,000 characters', () => {
    expect(cleanText('x'.repeat(5000))).toHaveLength(2000);
  });

  it('gives text that PostgreSQL takes: no NUL, no half character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ minLength: 1995, maxLength: 2005, unit: 'grapheme' }),
        (a, b) => {
          for (const text of [`\0${a}\ud800`, b]) {
            const clean = cleanText(text);
            expect(clean.isWellFormed()).toBe(true);
            expect(clean).not.toContain('\0');
          }
        },
      ),
    );
  });
});
