import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { errorPayload, type InvokeResult, type LambdaSpec, MAX_PAYLOAD_BYTES } from './spec.ts';

/** What a sandbox works on. */
export type Invocation = { requestId: string; payload: string };

/** One process of a function: serves one invocation at a time. */
export type Sandbox = {
  pid: number | undefined;
  /** Resolves when the module is loaded and the handler waits; rejects with what the module threw. */
  ready: Promise<void>;
  /** Runs one invocation to its end. Never rejects: whatever happens to the process is a function error. */
  run(invocation: Invocation): Promise<InvokeResult>;
  /** False from the moment that it ends or is ended. */
  isAlive(): boolean;
  /** Ends the process at once. */
  kill(): void;
  /** Resolves when the process is gone. */
  exited: Promise<void>;
};

const BOOTSTRAP = path.join(import.meta.dirname, 'bootstrap.mjs');
/** https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib */
const INIT_TIMEOUT_MS = 10_000;

type Running = Invocation & { finish(result: InvokeResult): void; timer: NodeJS.Timeout };

/** Starts a process for the function and speaks the Lambda Runtime API with it. */
export async function startSandbox(spec: LambdaSpec): Promise<Sandbox> {
  const { promise: ready, resolve: noteReady, reject: noteInitError } = Promise.withResolvers<void>();
  ready.catch(() => {});
  let waiting: ServerResponse | undefined;
  let running: Running | undefined;
  let pending: Running | undefined;
  let initError: string | undefined;
  let alive = true;

  const server = createServer((request, response) => void answerRuntime(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const child = spawn(
    process.execPath,
    [
      '--enable-source-maps',
      `--max-old-space-size=${Math.max(64, Math.floor(spec.memoryMb * 0.9))}`,
      BOOTSTRAP,
      spec.compileCache ?? '',
      ...spec.preload,
    ],
    {
      cwd: spec.directory,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: sandboxEnvironment(spec, (server.address() as AddressInfo).port),
      // Ctrl-C at the terminal reaches the platform alone; it ends the sandboxes in order.
      detached: true,
    },
  );
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => spec.onLog(line));
  }
  child.stdin.on('error', () => {});
  const { promise: exited, resolve: noteExit } = Promise.withResolvers<void>();
  child.once('error', (error) => gone(`could not be started: ${error.message}`));
  child.once('exit', (code, signal) => gone(signal ? `signal: ${signal}` : `exit status ${code}`));

  async function answerRuntime(request: IncomingMessage, response: ServerResponse) {
    const operation = (request.url ?? '').replace('/2018-06-01/runtime/', '');
    if (request.method === 'GET' && operation === 'invocation/next') {
      waiting = response;
      noteReady();
      if (pending) dispatch(pending);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    response.writeHead(202).end();
    if (operation === 'init/error') failInit(body);
    else if (operation === `invocation/${running?.requestId}/error`)
      finish({ payload: body, functionError: 'Unhandled' });
    else if (operation === `invocation/${running?.requestId}/response`) finish(checkSize(body));
  }

  function dispatch(invocation: Running) {
    if (!waiting) return;
    running = invocation;
    pending = undefined;
    clearTimeout(running.timer);
    running.timer = setTimeout(() => endByTimeout(spec.timeoutMs), spec.timeoutMs);
    waiting.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': invocation.requestId,
      'lambda-runtime-deadline-ms': String(Date.now() + spec.timeoutMs),
      'lambda-runtime-invoked-function-arn': spec.arn,
      'lambda-runtime-trace-id': traceId(),
    });
    waiting.end(invocation.payload);
    waiting = undefined;
  }

  function finish(result: InvokeResult) {
    const done = running ?? pending;
    running = pending = undefined;
    clearTimeout(done?.timer);
    done?.finish(result);
  }

  function endByTimeout(afterMs: number) {
    const requestId = (running ?? pending)?.requestId;
    const message = `Task timed out after ${(afterMs / 1000).toFixed(2)} seconds`;
    spec.onLog(`${requestId} ${message}`);
    finish(errorPayload('Sandbox.Timedout', `RequestId: ${requestId} Error: ${message}`));
    kill();
  }

  function failInit(body: string) {
    initError = body;
    noteInitError(new Error(JSON.parse(body).errorMessage));
    finish({ payload: body, functionError: 'Unhandled' });
  }

  function gone(how: string) {
    const requestId = (running ?? pending)?.requestId;
    const message = `Runtime exited with error: ${how}`;
    alive = false;
    if (requestId) spec.onLog(`${requestId} ${message}`);
    finish(errorPayload('Runtime.ExitError', `RequestId: ${requestId} Error: ${message}`));
    noteInitError(new Error(message));
    server.closeAllConnections();
    server.close();
    noteExit();
  }

  function kill() {
    alive = false;
    child.kill('SIGKILL');
  }

  return {
    pid: child.pid,
    ready,
    exited,
    kill,
    isAlive: () => alive,
    run(invocation) {
      if (initError !== undefined) return Promise.resolve({ payload: initError, functionError: 'Unhandled' });
      const { promise, resolve } = Promise.withResolvers<InvokeResult>();
      pending = {
        ...invocation,
        finish: resolve,
        timer: setTimeout(() => endByTimeout(INIT_TIMEOUT_MS), INIT_TIMEOUT_MS),
      };
      if (child.exitCode !== null || child.signalCode !== null) gone('the process is gone');
      else if (waiting) dispatch(pending);
      return promise;
    },
  };
}

/** What Lambda itself sets, then what the template says; of our own environment just the way to programs. */
function sandboxEnvironment(spec: LambdaSpec, runtimePort: number): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    LANG: 'en_US.UTF-8',
    TZ: ':UTC',
    AWS_REGION: spec.region,
    AWS_DEFAULT_REGION: spec.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_SESSION_TOKEN: 'local',
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_FUNCTION_NAME: spec.name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(spec.memoryMb),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${spec.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `local/[$LATEST]${randomUUID().replaceAll('-', '')}`,
    ...spec.environment,
    AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${runtimePort}`,
    LAMBDA_TASK_ROOT: spec.directory,
    _HANDLER: spec.handler,
  };
}

function checkSize(payload: string): InvokeResult {
  const size = Buffer.byteLength(payload);
  if (size <= MAX_PAYLOAD_BYTES) return { payload };
  return errorPayload(
    'Function.ResponseSizeTooLarge',
    `Response payload size (${size} bytes) exceeded maximum allowed payload size (${MAX_PAYLOAD_BYTES} bytes).`,
  );
}

function traceId(): string {
  const random = randomUUID().replaceAll('-', '');
  return `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${random.slice(0, 24)};Parent=${random.slice(-16)};Sampled=0`;
}
