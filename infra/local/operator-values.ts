import { randomBytes, randomInt } from 'node:crypto';
import { freePort } from './process/free-port.ts';
import { checkPort } from './process/ports.ts';
import { readPrivateFile, writePrivateFile } from './process/private-file.ts';

/** What an operator would bring along on AWS, and what has to stay the same from start to start. */
export type OperatorValues = {
  /** Telegram's form: `<bot id>:<35 characters>`. No bot of Telegram has it. */
  botToken: string;
  /** Signs the requests of a backend of one's own. */
  internalApiKey: string;
  /** Shows the webhook that an update comes from Telegram. */
  webhookSecret: string;
  /** The PLC directory's port. */
  plcPort: number;
  /** The PDS's port where none is asked for: it stands in the DID documents of members. */
  pdsPort: number;
  /** The same of the second PDS. */
  remotePdsPort: number;
};

/** Makes these values once and keeps them in a file for their owner's eyes only. */
export async function keepOperatorValues(file: string): Promise<OperatorValues> {
  const kept = readPrivateFile<OperatorValues>(file);
  const values: OperatorValues = {
    botToken: `${randomInt(1_000_000_000, 9_999_999_999)}:${randomBytes(26).toString('base64url')}`,
    internalApiKey: randomBytes(32).toString('base64url'),
    webhookSecret: randomBytes(32).toString('base64url'),
    ...kept,
    pdsPort: kept?.pdsPort ?? (await freePort()),
    remotePdsPort: kept?.remotePdsPort ?? (await freePort()),
    // Nothing that lasts names the PLC directory, so it may move out of a stranger's way.
    plcPort: kept && (await isFree(kept.plcPort)) ? kept.plcPort : await freePort(),
  };
  writePrivateFile(file, JSON.stringify(values, null, 2));
  return values;
}

async function isFree(port: number): Promise<boolean> {
  try {
    await checkPort(port);
    return true;
  } catch {
    return false;
  }
}
