/**
 * How a request to a PLC directory went wrong.
 *
 * - `unreachable`, `timeout`: no answer; what was handed in may have had its effect.
 * - `unavailable`: 429 or 5xx, from the directory or from something before it.
 * - `not_found`: there is no such DID, or it has ended.
 * - `refused`: any other 4xx: it has understood, and refused.
 * - `malformed`: an answer that no directory gives, or one about another DID, or a log that does not hold.
 */
export type PlcFault = 'unreachable' | 'timeout' | 'unavailable' | 'not_found' | 'refused' | 'malformed';

/** A request to a PLC directory that did not get its answer. Holds nothing secret: nothing that is sent there is. */
export class PlcError extends Error {
  override readonly name = 'PlcError';
  readonly fault: PlcFault;
  readonly status: number | undefined;
  /** What the directory says about it. */
  readonly detail: string | undefined;

  constructor(
    doing: string,
    fault: PlcFault,
    { status, detail, cause }: { status?: number; detail?: string; cause?: unknown } = {},
  ) {
    const parts = [fault, status, detail].filter((part) => part !== undefined);
    super(`PLC directory, ${doing}: ${parts.join(' ')}`, { cause });
    this.fault = fault;
    this.status = status;
    this.detail = detail;
  }

  /** Whether the directory, and not this one request, is in trouble. */
  get directoryDown(): boolean {
    return this.fault === 'unreachable' || this.fault === 'timeout' || this.fault === 'unavailable';
  }
}
