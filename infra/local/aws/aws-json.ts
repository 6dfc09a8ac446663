import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { type ListeningServer, listen, readBody } from './http-server.ts';

/** What a request body holds before anybody has looked at it. */
export type AwsInput = Record<string, unknown>;
export type AwsAction = (input: AwsInput) => object | Promise<object>;
/** Actions by the name that clients send in `X-Amz-Target`, e.g. `TrentService.Decrypt`. */
export type AwsActions = Record<string, AwsAction>;

/** An error as AWS clients know it: `type` becomes the name of the exception that the SDK throws. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly type: string;
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

const MAX_BODY_BYTES = 1024 * 1024;

/**
 * Serves actions over the AWS JSON 1.1 protocol on 127.0.0.1, so that real SDK clients talk to them
 * (`AWS_ENDPOINT_URL_<SERVICE>`). Signatures are not checked: nothing but this machine can reach the port.
 * Spec: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
 */
export async function startAwsJson(actions: AwsActions, { port = 0 } = {}): Promise<ListeningServer> {
  const server = createServer(async (request, response) => {
    const { status, body } = await answer(actions, request);
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() })
      .end(JSON.stringify(body));
  });
  return listen(server, { name: 'KMS and Secrets Manager', port });
}

async function answer(
  actions: AwsActions,
  request: IncomingMessage,
): Promise<{ status: number; body: object }> {
  try {
    const target = String(request.headers['x-amz-target']);
    const action = Object.hasOwn(actions, target) ? actions[target] : undefined;
    if (!action) throw new AwsError('UnknownOperationException', `${target} is not served here`);
    return { status: 200, body: await action(await readInput(request)) };
  } catch (error) {
    const { type, message, status } =
      error instanceof AwsError ? error : new AwsError('InternalFailure', String(error), 500);
    return { status, body: { __type: type, message } };
  }
}

async function readInput(request: IncomingMessage): Promise<AwsInput> {
  const body = await readBody(
    request,
    MAX_BODY_BYTES,
    () => new AwsError('RequestEntityTooLargeException', 'the body is too large', 413),
  );
  let input: unknown;
  try {
    input = JSON.parse(body.toString('utf8') || '{}');
  } catch {
    throw new AwsError('SerializationException', 'the body is no JSON');
  }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new AwsError('SerializationException', 'the body is no JSON object');
  }
  return input as AwsInput;
}
