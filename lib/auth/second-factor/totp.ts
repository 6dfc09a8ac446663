import { generateSecret, generateSync, generateURI, verifySync } from 'otplib/functional';
import { renderSVG } from 'uqr';

/** Seconds of a time step. With SHA-1 and six digits it is what every authenticator app expects. */
export const STEP_SECONDS = 30;
/** How far the clock of a phone may be off: one step to either side. RFC 6238, 5.2. */
const TOLERANCE_SECONDS = STEP_SECONDS;
/** Of an account name: a QR code that holds more is hard to read. */
const LONGEST_NAME = 64;

/** A new secret: 160 random bits, as long as the HMAC's output (RFC 4226, 4), in base32. */
export function newTotpSecret(): string {
  return generateSecret({ length: 20 });
}

/** The code that an app shows at this time: RFC 6238, HMAC-SHA-1, six digits. */
export function totpCode(secret: string, now: Date): string {
  return generateSync({ secret, epoch: secondsOf(now) });
}

/**
 * The time step that a code of six digits is for; undefined when it is none of now or one step around, or not newer
 * than `after`, the newest step that was accepted before: a code, and any older one, works once (RFC 6238, 5.2).
 */
export function acceptedStep(
  secret: string,
  code: string,
  { now, after }: { now: Date; after: number | null },
): number | undefined {
  const epoch = secondsOf(now);
  // Another clock, ahead of ours, accepted a code that will be right here in a while only: until then none is newer.
  if (after !== null && after > Math.floor((epoch + TOLERANCE_SECONDS) / STEP_SECONDS)) return undefined;
  const result = verifySync({
    secret,
    token: code,
    epoch,
    epochTolerance: TOLERANCE_SECONDS,
    ...(after !== null && { afterTimeStep: after }),
  });
  return result.valid && 'timeStep' in result ? result.timeStep : undefined;
}

/**
 * How an app takes a secret: https://github.com/google/google-authenticator/wiki/Key-Uri-Format, and the same as a QR
 * code. `account` is what the app shows under `issuer`.
 */
export function invitation(secret: string, { issuer, account }: { issuer: string; account: string }) {
  // A colon would end the issuer.
  const label = Array.from(account.replaceAll(':', ' ')).slice(0, LONGEST_NAME).join('');
  const uri = generateURI({ secret, issuer, label });
  // Four modules of white around it: ISO/IEC 18004, 6.3.8.
  return { uri, svg: renderSVG(uri, { border: 4, ecc: 'M' }) };
}

function secondsOf(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
