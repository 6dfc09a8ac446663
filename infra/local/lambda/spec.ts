/** A Lambda function as its template declares it, with what the local platform adds. */
export type LambdaSpec = {
  /** The construct's name, `<subsystem>-<operation>`: by it people know the function here. */
  id: string;
  /** The physical name, as in AWS_LAMBDA_FUNCTION_NAME. */
  name: string;
  arn: string;
  region: string;
  /** Where the bundled code lies. */
  directory: string;
  handler: string;
  environment: Readonly<Record<string, string>>;
  timeoutMs: number;
  memoryMb: number;
  /** ReservedConcurrentExecutions: above it the function is throttled. */
  reservedConcurrency?: number;
  /** Modules that the process loads before the handler: the machine's part, e.g. names that no DNS knows. */
  preload: readonly string[];
  /** Where compiled code is kept, so that the next process starts faster. */
  compileCache?: string;
  onLog(line: string): void;
};

/** How an invocation ended. `payload` is JSON text: the answer, or `{errorType, errorMessage, trace}`. */
export type InvokeResult = {
  payload: string;
  functionError?: 'Unhandled';
  /** Nothing ran: the function is at its reserved concurrency, or the event is too large. */
  refused?: 'throttled' | 'too-large';
};

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB each for request and response. */
export const MAX_PAYLOAD_BYTES = 6_291_556;

/** The payload of a function error. */
export function errorPayload(errorType: string, errorMessage: string): InvokeResult {
  return { payload: JSON.stringify({ errorType, errorMessage }), functionError: 'Unhandled' };
}
