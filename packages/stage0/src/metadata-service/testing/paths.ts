// One path for each route of the public API. Runs in the test process.

/** Paths behind the prefix, with the method that is right for each. */
export const POD_FIXTURE_PATHS: readonly { readonly method: 'GET' | 'POST'; readonly path: string }[] = [
  { method: 'GET', path: '/pod/annotations' },
  { method: 'GET', path: '/pod/annotations/empty' },
  { method: 'GET', path: '/pod/manifest' },
  { method: 'GET', path: '/pod/uuid' },
  { method: 'GET', path: '/apps/web/annotations' },
  { method: 'GET', path: '/apps/web/annotations/authors' },
  { method: 'GET', path: '/apps/web/image/manifest' },
  { method: 'GET', path: '/apps/web/image/id' },
  { method: 'POST', path: '/pod/hmac/sign' },
  { method: 'POST', path: '/pod/hmac/verify' },
];
