import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openFolder } from '../../../lib/lifecycle/export/folder.ts';

const place = mkdtempSync(path.join(os.tmpdir(), 'place-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

it('a run of an export has a folder of its own, and takes away what killed runs have left, and nothing else', async () => {
  const now = new Date();
  const aged = (name: string, minutes: number) => {
    mkdirSync(path.join(place, name));
    writeFileSync(path.join(place, name, 'repository'), 'x');
    const then = new Date(now.getTime() - minutes * 60_000);
    utimesSync(path.join(place, name), then, then);
  };
  aged('export-killed', 8);
  aged('export-alive', 4);
  aged('of-others', 100);
  const folder = await openFolder(place, now);
  expect(readdirSync(folder)).toEqual([]);
  expect(readdirSync(place).sort()).toEqual(['export-alive', path.basename(folder), 'of-others'].sort());
});
