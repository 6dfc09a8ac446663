import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { findPlatform } from './platform-file.ts';
import { runOwnPrompt } from './psql/prompt.ts';

const USAGE = `Usage: npm run psql -- [--data FOLDER] [options of psql]
  --data FOLDER  the folder of the platform (.data)
Where psql is not installed, one option of psql is known:
  -c SQL         runs this and leaves; may be given several times`;

// Opens the running platform's database as its superuser: with psql, if this machine has it, else with a small prompt
// of our own. User and database are always the platform's; -U and -d are taken and ignored.
const { data, psqlArgs } = takeData(process.argv.slice(2));
try {
  const { databaseUrls } = await findPlatform(path.resolve(data));
  const url = new URL(databaseUrls.superuser);
  process.exit(runPsql(url, psqlArgs) ?? (await runOwnPrompt(url.href, readCommands())));
} catch (error) {
  fail(error);
}

/** Takes our own option out of the command line; the others are psql's. */
function takeData(args: string[]): { data: string; psqlArgs: string[] } {
  const words = args.flatMap((arg) =>
    arg.startsWith('--data=') ? ['--data', arg.slice('--data='.length)] : [arg],
  );
  const at = words.indexOf('--data');
  if (at < 0) return { data: COMMON_OPTIONS.data.default, psqlArgs: words };
  const data = words[at + 1];
  if (!data) return refuse(USAGE, '--data takes a folder.');
  return { data, psqlArgs: words.toSpliced(at, 2) };
}

/** Exit code of the real psql; undefined when this machine has none. */
function runPsql(url: URL, args: string[]): number | undefined {
  const place = new URL(url);
  place.password = '';
  // Of several -d the last one counts, and a URL there outdoes -U, -h and -p.
  const { status, error } = spawnSync('psql', ['-v', 'ON_ERROR_STOP=1', ...args, '-d', place.href], {
    stdio: 'inherit',
    env: { ...process.env, PGPASSWORD: decodeURIComponent(url.password) },
  });
  return error ? undefined : (status ?? 1);
}

function readCommands(): string[] {
  const { command } = readCommandLine(USAGE, {
    options: {
      ...COMMON_OPTIONS,
      command: { type: 'string', short: 'c', multiple: true, default: [] },
      username: { type: 'string', short: 'U' },
      dbname: { type: 'string', short: 'd' },
    },
  });
  return command;
}
