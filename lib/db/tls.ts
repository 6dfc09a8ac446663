import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { AppError } from '../app-error.ts';

/**
 * How to speak TLS with a database: not at all on this machine, and with a verified certificate and host name
 * everywhere else (libpq's `verify-full`). `sslmode` in the URL may ask for verify-full here too, or for `disable`,
 * which is meant for a private network that encrypts by itself; the modes between check nothing and are refused.
 *
 * @NOTE Amazon RDS signs with its own authority, which Node does not know: the Lambda runtime is told by
 * NODE_EXTRA_CA_CERTS=/var/runtime/ca-cert.pem (AWS: "Runtime deprecation and certificates", Node.js 20 and later).
 */
export function tlsFor(hostname: string, sslmode: string | null): false | ConnectionOptions {
  const mode = sslmode ?? (isLoopback(hostname) ? 'disable' : 'verify-full');
  if (mode === 'disable') return false;
  if (mode === 'verify-full') return { rejectUnauthorized: true };
  throw new AppError('SETTINGS_INVALID', `DATABASE_URL: sslmode must be verify-full or disable, not ${mode}`);
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
  );
}
