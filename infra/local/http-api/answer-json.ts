import type { ServerResponse } from 'node:http';

/** What a local route (gateway.ts) answers in JSON; nobody keeps it. */
export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
