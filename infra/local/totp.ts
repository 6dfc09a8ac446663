import { AppError } from '../../lib/app-error.ts';
import { STEP_SECONDS, totpCode } from '../../lib/auth/second-factor/totp.ts';
import { COMMON_OPTIONS, fail, readCommandLine } from './command-line.ts';

const USAGE = `Usage: npm run totp -- SECRET
  SECRET  of POST /api/auth/2fa/enroll, in base32
Prints the code that an authenticator app would show now. Each is accepted once: for another one, wait as long as it says.`;

const { operands } = readCommandLine(USAGE, {
  options: { help: COMMON_OPTIONS.help },
  operands: ['SECRET'],
});
const [secret = ''] = operands;
try {
  const now = new Date();
  console.log(codeAt(now));
  console.error(
    `The next one comes in ${STEP_SECONDS - (Math.floor(now.getTime() / 1000) % STEP_SECONDS)} s.`,
  );
} catch (error) {
  fail(error);
}

function codeAt(now: Date): string {
  try {
    return totpCode(secret, now);
  } catch (cause) {
    throw new AppError('SECRET_INVALID', 'SECRET is no base32 of at least 16 bytes: copy all of it.', {
      cause,
    });
  }
}
