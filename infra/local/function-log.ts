const SERVERS = new Set(['pds', 'remote-pds', 'plc']);
const TROUBLE = new Set(['ERROR', 'CRITICAL']);

/**
 * What a person at the terminal should see of a log line; undefined for the everyday ones. Functions log JSON, so a
 * line that is none (a stack trace, a warning of Node) is worth showing. PDSs and PLC directory go to the file only.
 */
export function troubleIn(source: string, line: string): string | undefined {
  if (SERVERS.has(source) || line.trim() === '') return undefined;
  let entry: { level?: string; message?: string; request_id?: string; error?: { message?: string } };
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof entry !== 'object' || entry === null || !TROUBLE.has(entry.level ?? '')) return undefined;
  const { message, request_id, error } = entry;
  const trouble = [message, error?.message].filter(Boolean).join(': ');
  return request_id ? `${trouble} (request ${request_id})` : trouble;
}
