import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { spool, TooLarge } from '../../../lib/lifecycle/export/spool.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'spool-'));
afterAll(() => rmSync(folder, { recursive: true }));
const pace = async () => {};
async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

describe('a stream on its way into an archive', () => {
  it('lies in the file as it came', async () => {
    const file = path.join(folder, 'whole');
    expect(await spool(chunks('one ', 'two'), file, { limit: 7, pace })).toMatchObject({ size: 7 });
    expect(readFileSync(file, 'utf8')).toBe('one two');
  });

  it.each([
    ['above the limit', path.join(folder, 'more'), 6],
    ['for which the disk has no room', '/dev/full', 1000],
  ])('is too large %s', async (_, file, limit) => {
    await expect(spool(chunks('one ', 'two'), file, { limit, pace })).rejects.toThrow(TooLarge);
  });
});
