// The version of the App Container standard that this package speaks. Pure; runs in every process.

/** Written as acVersion of every image manifest we make (contract stage0 3). */
export const APPC_VERSION = '0.8.11';
