import { randomInt } from 'node:crypto';
import { ensureValidHandle, ensureValidHandleRegex } from '@atproto/syntax';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HandleStrategy, handleCandidates } from '../../../lib/identity/handle.ts';
import { isReserved } from '../../../lib/identity/reserved.ts';
import { ADJECTIVES, NOUNS } from '../../../lib/identity/words.ts';

const GENERATED = /^[a-z]{3,6}-[a-z]{3,6}-[1-9]\d{3}$/;

function first(
  count: number,
  username: string | null,
  strategy: HandleStrategy = 'username',
  reserved: string[] = [],
) {
  const wish = {
    username,
    strategy,
    reserved,
    domain: 'pnptv.test',
    randomInt: (limit: number) => randomInt(limit),
  };
  return handleCandidates(wish)
    .take(count)
    .map((handle) => handle.replace(/\.pnptv\.test$/, ''))
    .toArray();
}

describe('handleCandidates', () => {
  it.each([
    ['alice', 'alice'],
    ['Alice_Smith', 'alice-smith'],
    ['__alice__', 'alice'],
    ['a__l__i', 'a-l-i'],
    ['xn__80ak6aa92e', 'xn-80ak6aa92e'],
    ['4chan', '4chan'],
    ['bob', 'bob'],
    ['exactly_18_letters', 'exactly-18-letters'],
    ['nineteen_characters', 'nineteen-character'],
    ['alexander_the_great_of_macedon', 'alexander-the'],
    ['wolfgangamadeusmozart1756', 'wolfgangamadeusmoz'],
    ['the_christophersons_house', 'the-christopherson'],
  ])('%s wishes for %s', (username, label) => {
    expect(first(1, username)).toEqual([label]);
  });

  it.each([
    ['absent', null],
    ['empty', ''],
    ['too short', 'al'],
    ['too short without its underscores', 'a___'],
    ['underscores only', '________'],
    ['digits only', '123456'],
    ['an emoji', 'alice😀'],
    ['in another script', 'алиса'],
    ['a look-alike', 'аlice'],
    ['full width', 'ａｄｍｉｎ'],
    ['a host name', 'alice.bsky.social'],
    ['with a space', 'alice smith'],
    ['with a line break', 'alice\n'],
    ['reserved', 'admin'],
    ['reserved once it is shortened', 'administrator_of_everything'],
    ['absurdly long and no name', '_'.repeat(100_000)],
  ])('gives a generated name when the username is %s', (_, username) => {
    for (const label of first(3, username)) expect(label).toMatch(GENERATED);
  });

  it('says nothing about Telegram when names are to be generated', () => {
    for (const label of first(20, 'alice', 'generated')) expect(label).toMatch(GENERATED);
  });

  it('offers the wish, then -2 to -9, then four digits, then generated names', () => {
    const [wish, ...others] = first(16, 'alice');
    expect(wish).toBe('alice');
    expect(others.slice(0, 8)).toEqual([2, 3, 4, 5, 6, 7, 8, 9].map((n) => `alice-${n}`));
    for (const label of others.slice(8, 12)) expect(label).toMatch(/^alice-[1-9]\d{3}$/);
    for (const label of others.slice(12)) expect(label).toMatch(GENERATED);
  });

  it('keeps suffixed names within 18 characters, and hyphens single', () => {
    const labels = first(13, 'exactly_16_chars');
    expect(labels[1]).toBe('exactly-16-chars-2');
    expect(labels[9]).toMatch(/^exactly-16-ch-\d{4}$/);
    expect(first(13, 'abcdefghijkl_mnopq')[9]).toMatch(/^abcdefghijkl-\d{4}$/);
  });

  it('gives the operator’s own labels to nobody', () => {
    expect(first(1, 'back_office')).toEqual(['back-office']);
    expect(first(1, 'back_office', 'username', ['back-office'])[0]).toMatch(GENERATED);
  });

  it('skips a suffixed name that is reserved', () => {
    expect(first(2, 'alice', 'username', ['alice-2'])).toEqual(['alice', 'alice-3']);
    const labels = first(2, 'anna_maria_adminx');
    expect(labels[0]).toBe('anna-maria-adminx');
    expect(labels[1]).toMatch(/^anna-maria-ad-\d{4}$/); // with -2 it would end in -admin
  });

  it('always ends in a lower-case domain', () => {
    const [handle] = handleCandidates({
      username: 'alice',
      strategy: 'username',
      domain: 'PNPTV.Test',
      randomInt,
    }).take(1);
    expect(handle).toBe('alice.pnptv.test');
  });

  it('offers only valid handles with labels of our own rules, whatever the username and the random source', () => {
    const username = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.stringMatching(/^[A-Za-z0-9_]{1,40}$/),
      fc.string({ unit: fc.constantFrom('_', '-', 'a', 'x', 'n', '0', '.', 'I'), maxLength: 40 }),
    );
    fc.assert(
      fc.property(
        username,
        fc.constantFrom('username', 'generated'),
        fc.infiniteStream(fc.nat()),
        (name, strategy, numbers) => {
          const random = (limit: number) => Number(numbers.next().value) % limit;
          for (const handle of handleCandidates({
            username: name,
            strategy,
            domain: 'pnptv.app',
            randomInt: random,
          }).take(16)) {
            ensureValidHandle(handle);
            ensureValidHandleRegex(handle);
            const label = handle.slice(0, handle.indexOf('.'));
            expect(handle).toBe(`${label}.pnptv.app`);
            expect(label).toMatch(/^(?!.*--)(?=.*[a-z])[a-z0-9][a-z0-9-]{1,16}[a-z0-9]$/);
            expect(isReserved(label)).toBe(false);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('the words of generated names', () => {
  it.each([
    ['adjectives', ADJECTIVES],
    ['nouns', NOUNS],
  ])('%s: at least 128, each once, 3 to 6 letters, none reserved', (_, words) => {
    expect(new Set(words).size).toBe(words.length);
    expect(words.length).toBeGreaterThanOrEqual(128);
    for (const word of words) {
      expect(word).toMatch(/^[a-z]{3,6}$/);
      expect(isReserved(word)).toBe(false);
    }
  });
});
