import type { Child, OnLog } from '../process/child.ts';
import { startNodeChild } from '../process/node-child.ts';

export type PlcOptions = {
  /** A database of its own, owned by the URL's role; without one, the directory forgets everything when it stops. */
  databaseUrl?: string;
  /** Loopback port; 0 or absent: a free one. */
  port?: number;
  onLog?: OnLog;
};

export type Plc = Child & { url: string; port: number };

export type PlcProcessInput = { port: number; databaseUrl?: string };

/**
 * Starts a PLC directory (`@did-plc/server`) in a process of its own on 127.0.0.1 and resolves when it listens.
 * Fails with LOCAL_START_FAILED; a taken port is named.
 */
export async function startPlc({ databaseUrl, port = 0, onLog }: PlcOptions = {}): Promise<Plc> {
  const child = await startNodeChild({
    name: 'PLC directory',
    entry: new URL('./plc-process.ts', import.meta.url),
    input: { port, databaseUrl } satisfies PlcProcessInput,
    env: { LOG_ENABLED: onLog ? 'true' : 'false' },
    onLog,
  });
  return { ...child, url: `http://127.0.0.1:${child.port}` };
}
