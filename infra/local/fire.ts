import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';
import { ask } from './doors/door.ts';
import { findPlatform } from './platform-file.ts';
import { SCHEDULES_PATH, type ScheduleAnswer } from './schedule-route.ts';

const USAGE = `Usage: npm run fire -- SCHEDULE [--data FOLDER]
  SCHEDULE       what is run now instead of at its time: seal-root-daily, relay-every-minute, …
  --data FOLDER  the folder of the platform (.data)`;

const { data, operands } = readCommandLine(USAGE, { options: COMMON_OPTIONS, operands: ['SCHEDULE'] });
const [name = ''] = operands;
try {
  const { url } = await findPlatform(path.resolve(data));
  const response = await ask(`${url}${SCHEDULES_PATH}/${encodeURIComponent(name)}`, { method: 'POST' });
  const answer = (await response.json()) as ScheduleAnswer;
  if ('schedules' in answer)
    throw new AppError('SCHEDULE_UNKNOWN', `"${name}" is none of: ${answer.schedules.join(', ')}.`);
  const { fired, failed } = answer;
  if (failed) throw new AppError('SCHEDULE_FAILED', `${fired} failed: see platform.log in ${data}.`);
  console.log(`${fired} is done.`);
} catch (error) {
  fail(error);
}
