import { existsSync } from 'node:fs';
import path from 'node:path';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { lockDataDirectory } from './process/instance-lock.ts';
import { removeData } from './remove-data.ts';

const USAGE = `Usage: npm run reset -- [--data FOLDER]
  --data FOLDER  the folder to remove (.data)`;

const { data } = readCommandLine(USAGE, { options: COMMON_OPTIONS });
const dataDir = path.resolve(data);
try {
  if (existsSync(dataDir)) {
    const unlock = await lockDataDirectory(dataDir);
    await removeData(dataDir);
    await unlock();
    console.log(`Removed ${dataDir}. The next npm start begins with nothing.`);
  } else console.log(`There is nothing in ${dataDir}.`);
} catch (error) {
  fail(error);
}
