import { execFile } from 'node:child_process';
import path from 'node:path';

const COMMAND = path.resolve(import.meta.dirname, '../../../infra/local/audit-verify.ts');

/** `npm run audit:verify -- …` */
export function auditVerify(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
}
