// The one place that says how often a property is tried. Runs in the test process.
//
// A package of its own, below testkit, because the tests of the packages that testkit is made of need it too.

/** What `npm run fuzz` asks for, in the environment of mocha. */
export interface FuzzRequest {
  /** Times as many runs as usual. */
  readonly factor: number;
  /** Makes the same inputs again; undefined: a new one for each property. */
  readonly seed: number | undefined;
  /** No property goes on for longer than this; undefined: as long as it takes. */
  readonly limitMs: number | undefined;
}

const FACTOR = 'RKT_FUZZ_FACTOR';
const SEED = 'RKT_FUZZ_SEED';
const LIMIT = 'RKT_FUZZ_LIMIT_MS';

/** The request as variables of the environment. */
export function fuzzEnvironment({ factor, seed, limitMs }: FuzzRequest): Record<string, string> {
  return {
    [FACTOR]: String(factor),
    ...(seed === undefined ? {} : { [SEED]: String(seed) }),
    ...(limitMs === undefined ? {} : { [LIMIT]: String(limitMs) }),
  };
}

/** The request in `env`; outside of `npm run fuzz` one that changes nothing. */
export function fuzzRequest(env: Readonly<Record<string, string | undefined>> = process.env): FuzzRequest {
  return {
    factor: numberIn(env, FACTOR) ?? 1,
    seed: numberIn(env, SEED),
    limitMs: numberIn(env, LIMIT),
  };
}

/** How often a property is tried: `count` times, more under `npm run fuzz`. */
export function runs(count = 100): number {
  return Math.max(1, Math.round(count * fuzzRequest().factor));
}

function numberIn(env: Readonly<Record<string, string | undefined>>, name: string): number | undefined {
  const text = env[name];
  return text === undefined || text === '' ? undefined : Number(text);
}
