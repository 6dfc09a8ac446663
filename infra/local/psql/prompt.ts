import { createInterface } from 'node:readline/promises';
import postgres from 'postgres';
import { runCommand } from './commands.ts';

/**
 * Runs these statements, or else those that are typed or piped in, and prints what psql would. Resolves with the exit
 * code: 1 after a statement that failed.
 */
export async function runOwnPrompt(databaseUrl: string, commands: string[]): Promise<number> {
  const sql = postgres(databaseUrl, {
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
    const database = new URL(databaseUrl).pathname.slice(1);
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
