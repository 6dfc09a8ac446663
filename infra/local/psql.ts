import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { readPlatformFile } from './platform-file.ts';
import { runningPlatform } from './process/instance-lock.ts';
import { runCommand } from './psql/commands.ts';

// Opens the running platform's database as its superuser: with psql, if this machine has it, else with a small prompt
// of our own. User and database are always the platform's; -U and -d are taken and ignored.
const { values } = parseArgs({
  options: {
    command: { type: 'string', short: 'c', multiple: true, default: [] },
    username: { type: 'string', short: 'U' },
    dbname: { type: 'string', short: 'd' },
    data: { type: 'string', default: '.data' },
  },
});
const dataDir = path.resolve(values.data);
const platform = (await runningPlatform(dataDir)) ? readPlatformFile(dataDir) : undefined;
if (!platform) {
  console.error(`No platform runs on ${values.data}. Start it with: npm start`);
  process.exit(1);
}
const url = new URL(platform.databaseUrls.superuser);
process.exit(runPsql(values.command) ?? (await runOwnPrompt(values.command)));

/** Exit code of the real psql; undefined when this machine has none. */
function runPsql(commands: string[]): number | undefined {
  const args = ['-v', 'ON_ERROR_STOP=1', ...commands.flatMap((command) => ['-c', command])];
  const { status, error } = spawnSync('psql', args, {
    stdio: 'inherit',
    env: {
      ...process.env,
      PGHOST: url.hostname,
      PGPORT: url.port,
      PGUSER: url.username,
      PGPASSWORD: decodeURIComponent(url.password),
      PGDATABASE: url.pathname.slice(1),
    },
  });
  return error ? undefined : (status ?? 1);
}

async function runOwnPrompt(commands: string[]): Promise<number> {
  const sql = postgres(url.href, {
    max: 1,
    onnotice: ({ severity, message }) => console.error(`${severity}: ${message}`),
  });
  try {
    if (commands.length > 0) {
      for (const command of commands) if (!(await run(command))) return 1;
      return 0;
    }
    return await readStatements();
  } finally {
    await sql.end({ timeout: 1 });
  }

  async function run(command: string): Promise<boolean> {
    try {
      console.log(await runCommand(sql, command));
      return true;
    } catch (error) {
      console.error(`ERROR: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  async function readStatements(): Promise<number> {
    const isTerminal = process.stdin.isTTY;
    const lines = createInterface({ input: process.stdin, output: isTerminal ? process.stdout : undefined });
    const database = url.pathname.slice(1);
    let statement = '';
    const prompt = () => {
      lines.setPrompt(`${database}${statement ? '-' : '='}# `);
      if (isTerminal) lines.prompt();
    };
    if (isTerminal)
      console.log('Statements end with ;  \\dt lists tables, \\d NAME describes one, \\q leaves.');
    prompt();
    for await (const line of lines) {
      if (!statement && /^\s*(\\q|quit|exit);?\s*$/.test(line)) break;
      statement = statement ? `${statement}\n${line}` : line;
      if (!statement.trim()) statement = '';
      else if (/;\s*$/.test(statement) || statement.startsWith('\\')) {
        const isDone = await run(statement);
        statement = '';
        if (!isDone && !isTerminal) return 1;
      }
      prompt();
    }
    return statement.trim() && !(await run(statement)) ? 1 : 0;
  }
}
