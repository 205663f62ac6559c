// What codes of node and OpenSSL mean to somebody who wanted an image. Pure; runs in stage0.

/** Why a request failed, and what may help. */
export interface NetworkReason {
  readonly reason: string;
  readonly hint?: string;
}

const UNVERIFIED =
  'install the authority on this host or name it in SSL_CERT_FILE; --insecure-options=tls goes without verification';
const TLS_HINT = '--insecure-options=tls goes without verification';

const REASONS: Readonly<Record<string, NetworkReason>> = {
  ECONNREFUSED: { reason: 'connection refused' },
  ECONNRESET: { reason: 'connection closed by the server' },
  EPIPE: { reason: 'connection closed by the server' },
  ENOTFOUND: { reason: 'no such host' },
  EAI_AGAIN: { reason: 'cannot resolve the host name' },
  ETIMEDOUT: { reason: 'connection timed out' },
  EHOSTUNREACH: { reason: 'no route to host' },
  ENETUNREACH: { reason: 'network is unreachable' },
  CERT_HAS_EXPIRED: { reason: 'the certificate has expired', hint: TLS_HINT },
  CERT_NOT_YET_VALID: { reason: 'the certificate is not valid yet', hint: "check this host's clock" },
  CERT_REVOKED: { reason: 'the certificate was revoked' },
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: 'the certificate is for another host', hint: TLS_HINT },
  DEPTH_ZERO_SELF_SIGNED_CERT: { reason: 'the certificate is signed by itself', hint: UNVERIFIED },
  SELF_SIGNED_CERT_IN_CHAIN: {
    reason: 'the certificate is signed by an authority this host does not trust',
    hint: UNVERIFIED,
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    reason: 'the certificate is signed by an unknown authority',
    hint: UNVERIFIED,
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    reason: 'the certificate is signed by an unknown authority',
    hint: UNVERIFIED,
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    reason: 'the certificate is signed by an unknown authority',
    hint: UNVERIFIED,
  },
};

/** What to say of `error`: its own message where nothing better is known. */
export function networkReason(error: NodeJS.ErrnoException): NetworkReason {
  const { code = '', message } = error;
  if (code === 'ERR_PROXY_TUNNEL') return tunnelReason(message);
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return { reason: handshakeReason(message) };
  if (code === 'ERR_PROXY_INVALID_CONFIG') return { reason: 'invalid proxy address' };
  return REASONS[code] ?? { reason: message };
}

// OpenSSL's errors: `write EPROTO 4003...:error:0A00010B:SSL routines:FUNCTION:what happened:FILE:LINE:`.
function handshakeReason(message: string): string {
  const what = /SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message;
  if (/wrong version number|packet length too long|http request/.test(what)) {
    return 'the server does not speak TLS';
  }
  if (/protocol version|unsupported protocol/.test(what)) {
    return 'the server speaks only versions of TLS that are not safe';
  }
  return `TLS handshake failed: ${what}`;
}

// node's message ends in the proxy's status line.
function tunnelReason(message: string): NetworkReason {
  const status = /HTTP\/1\.[01] ([0-9]{3}[^\r\n]*)/.exec(message)?.[1]?.trim();
  if (status === undefined) return { reason: 'the proxy made no connection' };
  const reason = `the proxy refused: ${status}`;
  return status.startsWith('407')
    ? { reason, hint: 'put user and password into the proxy variable' }
    : { reason };
}
