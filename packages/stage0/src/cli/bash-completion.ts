// The script that `rkt completion bash` prints: commands and flags as they are declared, and functions that ask rkt
// for images and pods (contract stage0 1.10). Runs in stage0.

import type { CommandSpec, WordKind } from './command.ts';
import { COMMAND_TREE, type CommandNode } from './command-tree.ts';
import type { Flag, FlagTable } from './flag.ts';
import { GLOBAL_FLAGS } from './flags/global.ts';

interface Leaf {
  /** E.g. `image list`. */
  readonly name: string;
  readonly spec: CommandSpec;
}

/** The whole script. */
export async function bashCompletion(): Promise<string> {
  const leaves = await leavesBelow(COMMAND_TREE, '');
  const flags = new Map<string, Flag<unknown>>();
  for (const { spec } of leaves) {
    for (const [name, flag] of visibleFlags(GLOBAL_FLAGS, spec.flags, spec.imageFlags)) flags.set(name, flag);
  }
  return [
    '# bash completion for rkt; printed by: rkt completion bash',
    '',
    functionOf('_rkt_commands', [...groups(COMMAND_TREE, '')]),
    functionOf(
      '_rkt_flags',
      leaves.map(({ name, spec }) => [quoted(name), flagWords(spec)]),
      flagList(visibleFlags(GLOBAL_FLAGS)),
    ),
    functionOf(
      '_rkt_word_kinds',
      leaves.map(({ name, spec }) => [quoted(name), spec.words.join(' ')]),
    ),
    functionOf(
      '_rkt_values',
      [...flags]
        .filter(([, flag]) => flag.complete !== undefined)
        .map(([name, flag]) => [name, valueWords(flag)]),
    ),
    caseFunction(
      '_rkt_takes_value',
      [...flags].filter(([, flag]) => flag.bare === undefined).map(([name]) => name),
    ),
    caseFunction(
      '_rkt_takes_images',
      leaves.filter(({ spec }) => spec.grammar === 'images').map(({ name }) => quoted(name)),
    ),
    MACHINERY,
  ].join('\n');
}

async function leavesBelow(node: CommandNode, path: string): Promise<Leaf[]> {
  const leaves: Leaf[] = [];
  for (const child of node.children ?? []) {
    if (child.hidden === true) continue;
    const name = path === '' ? child.name : `${path} ${child.name}`;
    const spec = await child.spec?.();
    if (spec !== undefined) leaves.push({ name, spec });
    leaves.push(...(await leavesBelow(child, name)));
  }
  return leaves;
}

// Each group with the words below it.
function* groups(node: CommandNode, path: string): Generator<[string, string]> {
  const children = (node.children ?? []).filter(({ hidden }) => hidden !== true);
  if (children.length === 0) return;
  yield [quoted(path), children.map(({ name }) => name).join(' ')];
  for (const child of children) yield* groups(child, child.name);
}

function visibleFlags(...tables: readonly FlagTable[]): [string, Flag<unknown>][] {
  return tables
    .flatMap((table) => Object.entries(table))
    .filter(([, { hidden, deprecated }]) => hidden !== true && deprecated === undefined);
}

function flagWords({ flags, imageFlags }: CommandSpec): string {
  return flagList(visibleFlags(flags, imageFlags, GLOBAL_FLAGS));
}

// A flag that needs a value ends in =, so that the cursor stays behind it.
function flagList(flags: readonly (readonly [string, Flag<unknown>])[]): string {
  const words = flags.map(([name, { bare }]) => `--${name}${bare === undefined ? '=' : ''}`);
  return [...new Set([...words, '--help'])].join(' ');
}

function valueWords({ complete }: Flag<unknown>): string {
  return typeof complete === 'string' ? `@${complete}` : (complete ?? []).join(' ');
}

const quoted = (text: string): string => `'${text}'`;

// A function that prints words for its argument.
function functionOf(name: string, cases: readonly (readonly [string, string])[], otherwise?: string): string {
  const arms = cases
    .filter(([, words]) => words !== '')
    .map(([pattern, words]) => `    ${pattern}) echo '${words}' ;;`);
  if (otherwise !== undefined) arms.push(`    *) echo '${otherwise}' ;;`);
  return `${name}() {\n  case $1 in\n${arms.join('\n')}\n  esac\n}\n`;
}

// A function that succeeds for some arguments.
function caseFunction(name: string, patterns: readonly string[]): string {
  return `${name}() {\n  case $1 in\n    ${patterns.join(' | ')}) return 0 ;;\n  esac\n  return 1\n}\n`;
}

// Pods by what `rkt list` calls their state.
const POD_STATES: Readonly<Partial<Record<WordKind, string>>> = {
  pod: '*',
  'prepared-pod': 'prepared',
  'running-pod': 'running',
  'exited-pod': 'exited*',
  'idle-pod': '@(prepared|aborted prepare|exited*)',
};

const podArms = Object.entries(POD_STATES).map(([kind, pattern]) => `    ${kind}) _rkt_pods '${pattern}' ;;`);

const MACHINERY = String.raw`# Runs rkt on the directories that the command line names.
_rkt_ask() {
  "\${_rkt_words[0]/#\~\//$HOME/}" "\${_rkt_directories[@]}" "$@" 2>/dev/null
}

# Column 1 of each pod whose state matches; the further apps of a pod begin with a tab.
_rkt_pods() {
  local line row
  _rkt_ask list --no-legend | while IFS= read -r line; do
    [[ $line == [0-9a-f]* ]] || continue
    IFS=$'\t' read -ra row <<< "$line"
    [[ \${row[3]} == $1 ]] && echo "\${row[0]}"
  done
}

_rkt_images() {
  local id rest
  _rkt_ask image list --no-legend | while IFS=$'\t' read -r id rest; do
    echo "$id"
  done
}

# Candidates of a kind of word that begin with $2, one a line.
_rkt_candidates() {
  case $1 in
    @file | file) compgen -f -- "$2" ;;
    @directory | directory) compgen -d -- "$2" ;;
    image) compgen -W "$(_rkt_images)" -- "$2" ;;
    image-or-file)
      compgen -W "$(_rkt_images)" -- "$2"
      compgen -f -- "$2"
      ;;
    program) compgen -c -- "$2" ;;
    shell) compgen -W bash -- "$2" ;;
    *-pod | pod) compgen -W "$(_rkt_pod_kind "$1")" -- "$2" ;;
    *) compgen -W "$1" -- "$2" ;;
  esac
}

_rkt_pod_kind() {
  case $1 in
\${podArms}
  esac
}

# What may stand where the cursor is, one a line; \$1 is the word there.
_rkt_complete() {
  local current=$1 command='' words=0 index word flag='' inside=''
  _rkt_directories=()
  for ((index = 1; index < \${#_rkt_words[@]} - 1; index++)); do
    word=\${_rkt_words[index]}
    if [[ -n $inside ]]; then
      [[ $word == --- ]] && inside=''
    elif [[ -n $flag ]]; then
      case $flag in dir | *-config) _rkt_directories+=("--$flag=$word") ;; esac
      flag=''
    elif [[ $word == -- ]] && _rkt_takes_images "$command"; then
      inside=yes
    elif [[ $word == --*=* ]]; then
      case $word in --dir=* | --*-config=*) _rkt_directories+=("$word") ;; esac
    elif [[ $word == --* ]]; then
      _rkt_takes_value "\${word#--}" && flag=\${word#--}
    elif [[ $word != -* && -n $(_rkt_commands "$command") ]]; then
      # Unique prefixes are as good as names, but nobody needs them to be completed further.
      command=\${command:+$command }$word
    else
      ((words++))
    fi
  done

  [[ -n $inside ]] && return
  if [[ -n $flag ]]; then
    _rkt_candidates "$(_rkt_values "$flag")" "$current"
    return
  fi
  if [[ $current == --*=* ]]; then
    flag=\${current%%=*}
    _rkt_candidates "$(_rkt_values "\${flag#--}")" "\${current#*=}" | while IFS= read -r word; do
      echo "$flag=$word"
    done
    return
  fi
  if [[ $current == -* ]]; then
    compgen -W "$(_rkt_flags "$command")" -- "$current"
    return
  fi
  local commands
  commands=$(_rkt_commands "$command")
  if [[ -n $commands ]]; then
    compgen -W "$commands" -- "$current"
    return
  fi
  local kinds kind
  read -ra kinds <<< "$(_rkt_word_kinds "$command")"
  ((\${#kinds[@]})) || return
  kind=\${kinds[words < \${#kinds[@]} ? words : \${#kinds[@]} - 1]}
  if [[ $kind == command ]]; then
    # The words behind help are a command line of their own.
    _rkt_words=("\${_rkt_words[0]}" "\${_rkt_words[@]: -words - 1}")
    _rkt_complete "$current"
  else
    _rkt_candidates "$kind" "$current"
  fi
}

_rkt() {
  local _rkt_words _rkt_directories line=\${COMP_LINE:0:COMP_POINT} current word
  # Words by blanks: bash itself also splits at = and :.
  read -ra _rkt_words <<< "$line"
  [[ $line == *[[:blank:]] ]] && _rkt_words+=('')
  current=\${_rkt_words[\${#_rkt_words[@]} - 1]}
  COMPREPLY=()
  # Readline replaces only what follows the last character that it splits at.
  local kept=''
  [[ $COMP_WORDBREAKS == *=* && $current == *=* ]] && kept=\${current%"\${current##*=}"}
  while IFS= read -r word; do
    [[ -n $word ]] || continue
    [[ $word == *= || -d \${word#"$kept"} ]] && compopt -o nospace 2>/dev/null
    [[ -d \${word#"$kept"} ]] && compopt -o filenames 2>/dev/null
    COMPREPLY+=("\${word#"$kept"}")
  done < <(_rkt_complete "$current")
}

complete -F _rkt rkt
`
  .replaceAll('\\${podArms}', podArms.join('\n'))
  .replaceAll('\\$', '$');
