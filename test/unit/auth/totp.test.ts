import { describe, expect, it } from 'vitest';
import { acceptedStep, invitation, newTotpSecret, totpCode } from '../../../lib/auth/second-factor/totp.ts';

/** `12345678901234567890`, the key of the tables in RFC 4226 and RFC 6238, in base32. */
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const at = (seconds: number) => new Date(seconds * 1000);
const step = (number: number) => at(number * 30);

describe('a code', () => {
  // RFC 4226, appendix D: the counter is the time step.
  it.each([
    [0, '755224'],
    [1, '287082'],
    [2, '359152'],
    [3, '969429'],
    [4, '338314'],
    [5, '254676'],
    [6, '287922'],
    [7, '162583'],
    [8, '399871'],
    [9, '520489'],
  ])('is that of RFC 4226 at count %i', (count, code) => {
    expect(totpCode(SECRET, step(count))).toBe(code);
  });

  // RFC 6238, appendix B, SHA-1: the last six of the eight digits there.
  it.each([
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ])('is that of RFC 6238 at second %i', (seconds, code) => {
    expect(totpCode(SECRET, at(seconds))).toBe(code);
    expect(acceptedStep(SECRET, code, { now: at(seconds), after: null })).toBe(Math.floor(seconds / 30));
  });

  it('is good one step before and after its own, and no further', () => {
    const code = totpCode(SECRET, step(1000));
    const verdicts = [998, 999, 1000, 1001, 1002].map((n) =>
      acceptedStep(SECRET, code, { now: step(n), after: null }),
    );
    expect(verdicts).toEqual([undefined, 1000, 1000, 1000, undefined]);
    // To the second: its step, 30 s before and 30 s after.
    const good = (seconds: number) => acceptedStep(SECRET, code, { now: at(seconds), after: null });
    expect([29_969, 29_970, 30_059, 30_060].map(good)).toEqual([undefined, 1000, 1000, undefined]);
  });

  it('works once, and none older than one that worked', () => {
    const verdict = (n: number, after: number | null) =>
      acceptedStep(SECRET, totpCode(SECRET, step(n)), { now: step(1000), after });
    expect(verdict(1000, 999)).toBe(1000);
    expect(verdict(1000, 1000)).toBeUndefined();
    expect(verdict(999, 1000)).toBeUndefined();
    expect(verdict(1001, 1000)).toBe(1001);
    expect(verdict(1001, 1001)).toBeUndefined();
  });

  it('is refused, and nothing breaks, when the newest one was accepted by a clock that was ahead', () => {
    const code = totpCode(SECRET, step(1000));
    expect(acceptedStep(SECRET, code, { now: step(1000), after: 5000 })).toBeUndefined();
  });

  it('is no other code', () => {
    const now = step(1000);
    const codes = new Set([999, 1000, 1001].map((n) => totpCode(SECRET, step(n))));
    for (const guess of ['000000', '123456', '999999']) {
      expect([guess, acceptedStep(SECRET, guess, { now, after: null })]).toEqual([guess, undefined]);
      expect(codes.has(guess)).toBe(false);
    }
  });
});

describe('a secret', () => {
  it('has 160 bits in base32, and is another one each time', () => {
    const secrets = Array.from({ length: 50 }, newTotpSecret);
    for (const secret of secrets) expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    expect(new Set(secrets).size).toBe(50);
  });

  it('comes as a URI that every app reads: SHA-1, six digits and 30 s are its defaults', () => {
    const { uri } = invitation(SECRET, { issuer: 'pnptv.app', account: 'alice' });
    expect(uri).toBe(`otpauth://totp/pnptv.app:alice?secret=${SECRET}&issuer=pnptv.app`);
  });

  it.each(['Ä ö:&?#=%/"<>', 'x'.repeat(255), '😀'.repeat(200), '123456789'])(
    'is for whatever name an account has: %s',
    (account) => {
      const { uri, svg } = invitation(SECRET, { issuer: 'pnptv.app', account });
      expect(new URL(uri).searchParams.get('secret')).toBe(SECRET);
      expect(uri).not.toMatch(/[\s"<>]|pnptv\.app:.*:/);
      expect(svg).toMatch(
        /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^<]*>(<(rect|path) [^<]*\/>)+<\/svg>$/,
      );
    },
  );
});
