import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { awaitLeftovers } from '../../../infra/local/process/leftovers.ts';
import { removeData } from '../../../infra/local/remove-data.ts';

const children: ChildProcess[] = [];
const directories: string[] = [];

function newDirectory(...files: string[]): string {
  const made = mkdtempSync(path.join(tmpdir(), 'remove-data-'));
  directories.push(made);
  for (const file of files) writeFileSync(path.join(made, file), '{}');
  return made;
}

/** A process of the platform that outlives it, as a PDS does for a moment: it writes new folders all the time. */
async function startWriter(dataDir: string, livesMs: number): Promise<ChildProcess> {
  const directory = path.join(dataDir, 'pds');
  const program = `
    const { mkdirSync } = require('node:fs');
    let made = 0;
    setInterval(() => mkdirSync(process.argv[1] + '/' + (made += 1), { recursive: true }), 1);
    setTimeout(() => process.exit(), ${livesMs});
    console.log('writing');
  `;
  const child = spawn(process.execPath, ['-e', program, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

describe('removing a data folder', () => {
  it('waits for a process that still writes there, and then leaves nothing', async () => {
    const dataDir = newDirectory('operator.json');
    await startWriter(dataDir, 3_000);
    await removeData(dataDir);
    expect(existsSync(dataDir)).toBe(false);
  });

  it('names a process that does not end', async () => {
    const dataDir = newDirectory('operator.json');
    const { pid } = await startWriter(dataDir, 60_000);
    await expect(awaitLeftovers(dataDir, { patienceMs: 100 })).rejects.toThrow(
      `Process ${pid} still works in ${dataDir}; end it, then try again.`,
    );
  });

  it('does not wait for somebody who looks at a file in it', async () => {
    const dataDir = newDirectory('operator.json', 'platform.log');
    children.push(spawn('/usr/bin/tail', ['-f', path.join(dataDir, 'platform.log')], { stdio: 'ignore' }));
    await removeData(dataDir);
    expect(existsSync(dataDir)).toBe(false);
  });

  it('leaves a folder alone that the platform did not make', async () => {
    const dataDir = newDirectory('thesis.txt');
    await expect(removeData(dataDir)).rejects.toThrow('holds something that the platform did not write');
    expect(readdirSync(dataDir)).toEqual(['thesis.txt']);
  });
});
