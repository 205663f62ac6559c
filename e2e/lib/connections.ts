// Connections to what listens on this machine. Runs in the mocha process.

import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

/** Connects, and gives all that comes until the other side closes. */
export function answerOf(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host });
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => (text += part));
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}

/** Sends a datagram, and gives the one that comes back. */
export function datagramFrom(port: number, host: string): Promise<string> {
  const socket = createSocket('udp4');
  return new Promise<string>((resolve, reject) => {
    socket.on('message', (text) => resolve(text.toString()));
    socket.on('error', reject);
    socket.send('hello', port, host);
  }).finally(() => socket.close());
}
