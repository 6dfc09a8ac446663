import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { explain } from '../../../infra/local/command-line.ts';
import { AppError } from '../../../lib/app-error.ts';
import { ordinaryUser, ordinaryUserGetsHere } from './ordinary-user.ts';

const LOCAL = path.resolve(import.meta.dirname, '../../../infra/local');
const directories: string[] = [];

function newDirectory(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'command-line-'));
  directories.push(made);
  return made;
}

function run(script: string, ...args: string[]) {
  return runAs({}, script, ...args);
}

async function runAs(
  user: object,
  script: string,
  ...args: string[]
): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [path.join(LOCAL, script), ...args], {
    ...user,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/nonexistent' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  return { code, output };
}

afterEach(() => {
  for (const directory of directories.splice(0)) {
    if (existsSync(directory)) chmodSync(directory, 0o700);
    rmSync(directory, { recursive: true, force: true });
  }
});

describe('an npm script called wrongly', () => {
  it.each([
    ['start.ts', ['--prot', '3001'], "Unknown option '--prot'"],
    ['start.ts', ['--port', 'http'], '--port takes a number from 1 to 65535, or 0 for a free port.'],
    ['start.ts', ['--mode', 'global'], '--mode takes local, remote or hybrid.'],
    ['start.ts', ['now'], "Unexpected argument 'now'."],
    ['reset.ts', ['--all'], "Unknown option '--all'"],
    ['reset.ts', ['.data'], "Unexpected argument '.data'."],
    ['login.ts', [], 'NAME is missing.'],
    ['login.ts', ['alice', 'bob'], "Unexpected argument 'bob'."],
    ['login.ts', ['alice', '--root'], "Unknown option '--root'"],
    ['psql.ts', ['--data'], '--data takes a folder.'],
    ['totp.ts', [], 'SECRET is missing.'],
    ['rewrap.ts', ['now'], "Unexpected argument 'now'."],
    ['recovery-key.ts', ['key'], 'DID is missing.'],
    ['recovery-key.ts', ['key', 'alice.test'], 'alice.test is no did:web and no did:plc.'],
    ['repo-key.ts', ['publish'], 'DID is missing.'],
    ['repo-key.ts', ['rotate', 'did:web:a.test'], 'rotate is no step.'],
    ['repo-key.ts', ['publish', 'alice'], 'alice is no DID.'],
  ])('%s %j says what is wrong, shows its usage and ends with 2', async (script, args, problem) => {
    const { code, output } = await run(script, ...args);
    expect(code).toBe(2);
    expect(output).toMatch(/\n\nUsage: npm (start|run [\w-]+) -- /);
    expect(output.split('\n\n', 1)).toEqual([problem]);
  });

  it.each(['login.ts', 'psql.ts'])('%s says when no platform runs, and makes no folder', async (script) => {
    const dataDir = path.join(newDirectory(), 'none');
    const { code, output } = await run(script, 'x', `--data=${dataDir}`);
    expect([code, output]).toEqual([1, `No platform runs on ${dataDir}. Start it with: npm start\n`]);
    expect(readdirSync(path.dirname(dataDir))).toEqual([]);
  });
});

describe('a data folder', () => {
  it('is removed however its name is written', async () => {
    const dataDir = newDirectory();
    writeFileSync(path.join(dataDir, 'operator.json'), '{}');
    const { code, output } = await run('reset.ts', '--data', `${dataDir}/`);
    expect([code, output]).toEqual([0, expect.stringContaining(`Removed ${dataDir}.`)]);
  });
});

describe.skipIf(!ordinaryUserGetsHere)('a data folder of somebody else', () => {
  it.each(['start.ts', 'reset.ts'])('is refused by %s in one sentence', async (script) => {
    const dataDir = newDirectory();
    writeFileSync(path.join(dataDir, 'operator.json'), '{}');
    chmodSync(dataDir, 0o500);
    const { code, output } = await runAs(ordinaryUser, script, '--data', dataDir);
    expect([code, output.trim()]).toEqual([
      1,
      `${dataDir} cannot be used (EACCES): run as the user who owns it, or choose another folder with --data FOLDER.`,
    ]);
  });

  it('is not said to be removed when a part of it is left, and is known again', async () => {
    const dataDir = newDirectory();
    const pds = path.join(dataDir, 'pds');
    mkdirSync(pds);
    for (const file of ['operator.json', 'pds/account.sqlite']) writeFileSync(path.join(dataDir, file), '{}');
    chmodSync(dataDir, 0o777);
    chmodSync(pds, 0o555);
    const { code, output } = await runAs(ordinaryUser, 'reset.ts', '--data', dataDir);
    chmodSync(pds, 0o755);
    expect(code).toBe(1);
    expect(output).toMatch(/^.+ is not removed completely \(EACCES: .+\); mend that, then try again\.\n$/);
    expect(readdirSync(dataDir)).toContain('operator.json');
  });
});

describe('an error at the terminal', () => {
  const fileError = (code: string, at?: string) => Object.assign(new Error(code), { code, path: at });

  it.each(['EACCES', 'EPERM', 'EROFS', 'ENOSPC'])('is one sentence for %s', (code) => {
    expect(explain(fileError(code, '/data/kms.json'))).toMatch(/^\/data\/kms\.json: [^\n]+FOLDER\.$/);
    expect(explain(fileError(code))).toMatch(/^A file: [^\n]+FOLDER\.$/);
  });

  it('is its own message where we made it, and has a stack where nobody expected it', () => {
    expect(explain(new AppError('PORT_TAKEN', 'Port 1 is taken.'))).toBe('Port 1 is taken.');
    expect(explain(new TypeError('undefined is not a function'))).toContain('\n    at ');
  });
});
