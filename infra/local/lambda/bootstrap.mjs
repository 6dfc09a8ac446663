// Runs inside a sandbox: loads the handler and serves it over the Lambda Runtime API, as AWS's own client does.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
import { existsSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { enableCompileCache, flushCompileCache } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const {
  AWS_LAMBDA_RUNTIME_API: runtimeApi = '',
  LAMBDA_TASK_ROOT: taskRoot = '',
  _HANDLER: handlerName = '',
} = process.env;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

// The platform holds the other end of this pipe: when it is gone, however it ended, so are we.
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0));
process.stdin.resume();

/** @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, body: string }>} */
function call(method, operation, body, headers = {}) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const call = request(
    `http://${runtimeApi}/2018-06-01/runtime/${operation}`,
    { method, agent, headers },
    (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        resolve({
          status: response.statusCode,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        });
      });
      response.on('error', reject);
    },
  );
  call.on('error', reject).end(body);
  return promise;
}

function describe(error) {
  const isError = error instanceof Error;
  return JSON.stringify({
    errorType: isError ? error.name : typeof error,
    errorMessage: isError ? error.message : String(error),
    trace: isError ? (error.stack ?? '').split('\n') : [],
  });
}

function runtimeError(type, message) {
  return Object.assign(new Error(message), { name: `Runtime.${type}` });
}

async function loadHandler() {
  const dot = handlerName.lastIndexOf('.');
  const [module, name] = [handlerName.slice(0, dot), handlerName.slice(dot + 1)];
  const file = ['.mjs', '.js', '.cjs']
    .map((extension) => path.join(taskRoot, module + extension))
    .find(existsSync);
  if (!file) throw runtimeError('ImportModuleError', `Cannot find module '${module}' in ${taskRoot}`);
  const handler = (await import(pathToFileURL(file).href))[name];
  if (typeof handler !== 'function')
    throw runtimeError('HandlerNotFound', `${handlerName} is undefined or not exported`);
  return handler;
}

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

async function serve(handler) {
  const { headers, body } = await call('GET', 'invocation/next');
  const requestId = headers['lambda-runtime-aws-request-id'];
  process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
  let answer;
  try {
    const result = await handler(JSON.parse(body), contextOf(headers));
    answer = ['response', JSON.stringify(result) ?? 'null'];
  } catch (error) {
    console.error(error);
    answer = ['error', describe(error)];
  }
  const [kind, payload] = answer;
  await call('POST', `invocation/${requestId}/${kind}`, payload, { 'content-type': 'application/json' });
}

// What the machine adds to Lambda stands on the command line: the environment is the function's own.
const [compileCache, ...preload] = process.argv.slice(2);
if (compileCache) enableCompileCache(compileCache);

let handler;
try {
  for (const module of preload) await import(module);
  handler = await loadHandler();
  // Nobody ends us politely: what was compiled is written now.
  if (compileCache) flushCompileCache();
} catch (error) {
  console.error(error);
  await call('POST', 'init/error', describe(error), { 'content-type': 'application/json' });
  process.exit(1);
}
for (;;) await serve(handler);
