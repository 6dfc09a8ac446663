import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { freePort } from './free-port.ts';
import { writePrivateFile } from './private-file.ts';

/** What an operator would bring along on AWS. */
export type OperatorValues = {
  /** Telegram's form: `<bot id>:<35 characters>`. No bot of Telegram has it. */
  botToken: string;
  /** The PLC directory's port: kept, because it stands in every function's environment. */
  plcPort: number;
};

/** Makes these values once and keeps them in a file for their owner's eyes only. */
export async function keepOperatorValues(file: string): Promise<OperatorValues> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const botToken = `${randomInt(1_000_000_000, 9_999_999_999)}:${randomBytes(26).toString('base64url')}`;
  const values = { botToken, plcPort: await freePort() };
  writePrivateFile(file, JSON.stringify(values, null, 2));
  return values;
}
