import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import type { OperatorKeys } from './operator-keys.ts';
import { runningPlatform } from './process/instance-lock.ts';
import { writePrivateFile } from './process/private-file.ts';

export type PdsMode = 'local' | 'remote' | 'hybrid';

/** What other commands (login, psql) need to know about a running platform. Holds credentials: mode 0600. */
export type PlatformFile = {
  pid: number;
  /** The app's origin. */
  url: string;
  /** PDS_MODE: where new members' accounts are made. */
  mode: PdsMode;
  pdsUrl: string;
  /** The PDS that stands for one of somebody else's, where it runs. */
  remotePdsUrl?: string | undefined;
  plcUrl: string;
  domain: string;
  botToken: string;
  /** One of INTERNAL_API_KEYS. */
  internalApiKey: string;
  webhookSecret: string;
  /** The Telegram id that is an admin here (ADMIN_TELEGRAM_IDS). */
  adminTelegramId: number;
  databaseUrls: { owner: string; api: string; worker: string; superuser: string };
  /** With what functions open what is sealed, and how any AWS SDK client reaches KMS. */
  vault: Pick<OperatorKeys, 'settings' | 'environment'>;
};

const fileIn = (dataDir: string) => path.join(dataDir, 'platform.json');

export function writePlatformFile(dataDir: string, content: PlatformFile): void {
  writePrivateFile(fileIn(dataDir), JSON.stringify(content, null, 2));
}

export function removePlatformFile(dataDir: string): void {
  rmSync(fileIn(dataDir), { force: true });
}

/** The platform that runs on this data directory, or the last one, if it was killed; undefined when there is none. */
export function readPlatformFile(dataDir: string): PlatformFile | undefined {
  try {
    return JSON.parse(readFileSync(fileIn(dataDir), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The platform that runs on this data directory. Fails with NOT_RUNNING. */
export async function findPlatform(dataDir: string): Promise<PlatformFile> {
  const platform = (await runningPlatform(dataDir)) ? readPlatformFile(dataDir) : undefined;
  if (!platform) {
    throw new AppError('NOT_RUNNING', `No platform runs on ${dataDir}. Start it with: npm start`);
  }
  return platform;
}
