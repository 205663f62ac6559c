// Turns an entry point into one CommonJS file for a single executable: everything inlined, nothing evaluated
// before it is imported. Runs at build time.
//
// esbuild wraps every module that is reached through `import()` (and all that it imports) in a function that runs at
// the first import. bundle.test.ts proves it: the start-up budgets rest on it. Large libraries that few commands want
// are scripts of their own: each start reads the text of the script, used or not.
import fs from 'node:fs';
import path from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import { workspaceRoot } from './workspace.ts';

export interface BundleOptions {
  readonly entry: string;
  readonly output: string;
  /** Build-time constants: identifier to value. */
  readonly define?: Readonly<Record<string, unknown>>;
  /** Libraries that are left out, for {@link bundleLibrary}: the script asks `require` for them by name. */
  readonly apart?: readonly string[];
  /** Keeps what the entry does not want of its modules: in a larger program somebody else does. */
  readonly whole?: boolean;
}

export interface BundleResult {
  /** The files that went in, relative to the workspace root. */
  readonly inputs: string[];
  readonly bytes: number;
}

/**
 * yargs measures text with string-width, whose regular expressions for emoji take 24 ms to compile at load. Help text
 * here is ASCII, where the width is the length.
 */
const PLAIN_STRING_WIDTH = 'export default (text) => String(text).replace(/\\u001B\\[[\\d;]*m/g, "").length;';

/** What a module says differently in a CommonJS script, line by line. */
function asCommonJs(source: string): string {
  return (
    source
      // A program ends in `await main(...)`, which a CommonJS script cannot say; there it changes nothing.
      .replace(/^await (?=main\()/m, 'void ')
      // For each default import esbuild copies all properties of the module, at every start.
      .replaceAll(/^import (\w+) from '(node:[\w/]+)';$/gm, "const $1 = require('$2');")
  );
}

const SOURCES: Plugin = {
  name: 'sources',
  setup(esbuild) {
    esbuild.onLoad({ filter: /\/packages\/[^/]+\/src\/.*\.ts$/ }, ({ path: file }) => ({
      contents: asCommonJs(fs.readFileSync(file, 'utf8')),
      loader: 'ts',
    }));
    esbuild.onLoad({ filter: /node_modules\/string-width\/index\.js$/ }, () => ({
      contents: PLAIN_STRING_WIDTH,
    }));
  },
};

/**
 * yargs writes help, which few starts need. esbuild makes every function of an ECMAScript module one of the script's
 * own, which all starts then make anew; inside a function of its own a library is one function until it is wanted.
 */
const YARGS: Plugin = {
  name: 'yargs',
  setup(esbuild) {
    esbuild.onLoad({ filter: /node_modules\/yargs\/index\.mjs$/ }, async ({ path: entry }) => {
      const built = await build({ ...SETTINGS, entryPoints: [entry], plugins: [SOURCES], write: false });
      const [text = ''] = built.outputFiles.map((file) => file.text);
      return {
        contents: [
          'const library = { exports: {} };',
          `((module, exports) => {${text}})(library, library.exports);`,
          'export default library.exports.default;',
        ].join('\n'),
      };
    });
  },
};

/**
 * grpc-js can describe itself with protocol buffers of its own, for which it would load a parser of .proto files; our
 * services are declared as tables, and those two features are off.
 */
const GRPC: Plugin = {
  name: 'grpc',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path: file }) => ({
      path: file,
      namespace: 'left-out',
    }));
    esbuild.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path: file }) => ({
      contents: `throw new Error('${file} is not part of this program');`,
    }));
  },
};

/** For the same reason: the form of this library that is one function. Minified, as it is compiled whenever it is used. */
const LIBRARY_FILES = { openpgp: path.join(workspaceRoot, 'node_modules/openpgp/dist/node/openpgp.min.cjs') };

const SETTINGS = {
  absWorkingDir: workspaceRoot,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node26',
  conditions: ['@rkt/source', 'import', 'module'],
  mainFields: ['module', 'main'],
  // `import('node:zlib')` becomes require(): a script with a code cache cannot import() at run time.
  supported: { 'dynamic-import': false },
  // Comments and blanks are scanned each time a function is compiled; names stay, for stack traces.
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'silent',
  // CommonJS has no import.meta; libraries only use it to find themselves, and inside an executable they cannot.
  define: { 'import.meta.url': '"file:///"', 'import.meta.dirname': '"/"' },
} satisfies BuildOptions;

/** Bundles `entry` into `output`, with a source map beside it. Throws what esbuild reports. */
export async function bundle(options: BundleOptions): Promise<BundleResult> {
  const define: Record<string, string> = { ...SETTINGS.define };
  for (const [name, value] of Object.entries(options.define ?? {})) define[name] = JSON.stringify(value);
  const result = await build({
    ...SETTINGS,
    define,
    alias: options.apart?.includes('openpgp') === true ? {} : LIBRARY_FILES,
    external: [...(options.apart ?? [])],
    entryPoints: [options.entry],
    outfile: options.output,
    sourcemap: 'external',
    metafile: true,
    treeShaking: options.whole !== true,
    plugins: [SOURCES, YARGS, GRPC],
  });
  if (result.warnings.length > 0) {
    const lines = result.warnings.map((w) => `${w.location?.file ?? ''}:${w.location?.line ?? 0}: ${w.text}`);
    throw new Error(`bundle ${options.entry}: ${lines.join('; ')}`);
  }
  const inputs = Object.keys(result.metafile.inputs).map((file) => path.normalize(file));
  return { inputs: inputs.sort(), bytes: fs.statSync(options.output).size };
}

/** Bundles the library `name` of node_modules into `output`, a CommonJS module. Throws what esbuild reports. */
export async function bundleLibrary(name: string, output: string): Promise<void> {
  await build({
    ...SETTINGS,
    alias: LIBRARY_FILES,
    stdin: { contents: `module.exports = require(${JSON.stringify(name)});`, resolveDir: workspaceRoot },
    outfile: output,
    plugins: [GRPC],
  });
}
