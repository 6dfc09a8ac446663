import { randomInt } from 'node:crypto';
import { checkPort } from './ports.ts';

/** Below the ports that systems lend to outgoing connections: Linux 32768–60999, others 49152–65535 (RFC 6335). */
const FIRST = 20_000;
const COUNT = 12_000;
const MOST_TRIES = 100;

/**
 * A loopback port that was free a moment ago, for servers that cannot choose one themselves. Another program would
 * have to choose the very same one before they listen; no connection gets it by chance.
 */
export async function freePort(): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = FIRST + randomInt(COUNT);
    try {
      await checkPort(port);
      return port;
    } catch (error) {
      if (tries === MOST_TRIES) throw error;
    }
  }
}
