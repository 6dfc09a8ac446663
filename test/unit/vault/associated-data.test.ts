import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFields } from '../../../lib/vault/associated-data.ts';

const fields = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.isWellFormed()));

describe('encodeFields', () => {
  it('gives different bytes for different lists', () => {
    fc.assert(
      fc.property(fields, fields, (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        expect(Buffer.compare(encodeFields(a), encodeFields(b))).not.toBe(0);
      }),
    );
  });

  it('also when the same text is cut elsewhere', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 3 }), fc.nat(), fc.nat(), (text, i, j) => {
        const cut = (at: number) => [text.slice(0, at), text.slice(at)];
        const [a, b] = [1 + (i % (text.length - 1)), 1 + (j % (text.length - 1))];
        fc.pre(a !== b && text.isWellFormed());
        expect(Buffer.compare(encodeFields(cut(a)), encodeFields(cut(b)))).not.toBe(0);
      }),
    );
  });

  it.each([[''], ['\ud800']])('refuses %j, which would be mistaken for something else', (field) => {
    expect(() => encodeFields(['table', field])).toThrow(
      expect.objectContaining({ code: 'SECRET_PLACE_INVALID' }),
    );
  });
});
