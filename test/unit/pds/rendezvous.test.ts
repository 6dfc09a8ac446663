import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rankProviders } from '../../../lib/pds/rendezvous.ts';

const provider = (id: string, weight: number) => ({ id, endpoint: `https://${id}.test`, weight });
/** The same members in every run of the test. */
const members = Array.from({ length: 10_000 }, (_, n) => createHash('sha256').update(`${n}`).digest('hex'));
const firstOf = (providers: ReturnType<typeof provider>[]) =>
  members.map((member) => rankProviders(providers, member)[0]?.id);

describe('the order of providers', () => {
  it.each([
    [1, 1],
    [3, 1],
    [1, 9],
    [1000, 1],
  ])('gives providers with weights %i and %i their shares of members', (a, b) => {
    const share = firstOf([provider('a', a), provider('b', b)]).filter((id) => id === 'a').length;
    const p = a / (a + b);
    const fiveDeviations = 5 * Math.sqrt(p * (1 - p) * members.length);
    expect(Math.abs(share - p * members.length)).toBeLessThan(fiveDeviations);
  });

  it('is the same whatever order the settings name them in', () => {
    const [a, b, c] = [provider('a', 2), provider('b', 1), provider('c', 5)];
    for (const member of members.slice(0, 100)) {
      expect(rankProviders([c, a, b], member)).toEqual(rankProviders([a, b, c], member));
    }
  });

  it('moves nobody between two providers when a third comes, or away from one that grows', () => {
    const before = firstOf([provider('a', 1), provider('b', 1)]);
    const withThird = firstOf([provider('a', 1), provider('b', 1), provider('c', 1)]);
    const grown = firstOf([provider('a', 1), provider('b', 2)]);
    for (const [n, id] of before.entries()) {
      expect([id, 'c']).toContain(withThird[n]);
      expect([id, 'b']).toContain(grown[n]);
    }
  });
});
