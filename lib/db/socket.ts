import net from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';

export type SocketAddress = { host: string; port: number; tls: false | ConnectionOptions; timeoutMs: number };

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * A connected socket to a PostgreSQL server, encrypted if so asked (PostgreSQL protocol, "SSL Session Encryption").
 * Rejects with the cause, with CONNECT_TIMEOUT after `timeoutMs`, with TLS_REFUSED if the server speaks no TLS.
 */
export async function openSocket(address: SocketAddress): Promise<net.Socket> {
  const { host, port, timeoutMs } = address;
  const plain = net.connect({ host, port, keepAlive: true });
  let socket: net.Socket = plain;
  const late = setTimeout(() => socket.destroy(connectError('CONNECT_TIMEOUT', address)), timeoutMs);
  try {
    await event(plain, 'connect');
    if (address.tls) {
      plain.write(SSL_REQUEST);
      const answer = await event<Buffer>(plain, 'data');
      // Exactly one byte: whatever came with it unencrypted could be an attacker's (CVE-2021-23222).
      if (answer.toString('latin1') !== 'S') throw connectError('TLS_REFUSED', address);
      const servername = net.isIP(host) ? undefined : host;
      socket = tls.connect({ ...address.tls, socket: plain, host, servername });
      await event(socket, 'secureConnect');
    }
    return socket;
  } catch (error) {
    socket.destroy();
    plain.destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function event<T>(socket: net.Socket, name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    socket.once(name, (value: T) => {
      socket.off('error', reject).off('close', closed);
      resolve(value);
    });
    const closed = () =>
      reject(Object.assign(new Error('The server closed the connection.'), { code: 'CONNECTION_CLOSED' }));
    socket.once('error', reject).once('close', closed);
  });
}

function connectError(code: string, { host, port }: SocketAddress): Error {
  return Object.assign(new Error(`${code} ${host}:${port}`), { code });
}
