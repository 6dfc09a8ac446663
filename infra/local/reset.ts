import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { lockDataDirectory } from './process/instance-lock.ts';
import { removeData } from './remove-data.ts';

const { values } = parseArgs({ options: { data: { type: 'string', default: '.data' } } });
const dataDir = path.resolve(values.data);
try {
  if (existsSync(dataDir)) {
    const unlock = await lockDataDirectory(dataDir);
    removeData(dataDir);
    await unlock();
    console.log(`Removed ${dataDir}. The next npm start begins with nothing.`);
  } else console.log(`There is nothing in ${dataDir}.`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
