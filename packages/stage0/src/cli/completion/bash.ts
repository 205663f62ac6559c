// The script that `rkt completion bash` prints: commands and flags as they are declared, and functions that ask rkt
// for images and pods (contract stage0 1.10). Runs in stage0.

import { shellFunctions } from './shell-functions.ts';
import { completionTables, POD_STATES, SHELLS } from './tables.ts';

/** The whole script. */
export async function bashCompletion(): Promise<string> {
  return [
    '# bash completion for rkt; printed by: rkt completion bash',
    '',
    shellFunctions(await completionTables()),
    MACHINERY,
  ].join('\n');
}

const podArms = Object.entries(POD_STATES).map(
  ([kind, states]) =>
    `    ${kind}) _rkt_pods '${states.length === 1 ? states[0] : `@(${states.join('|')})`}' ;;`,
);

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
    shell) compgen -W '\${shells}' -- "$2" ;;
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
  .replaceAll('\\${podArms}', () => podArms.join('\n'))
  .replaceAll('\\${shells}', SHELLS.join(' '))
  .replaceAll('\\$', '$');
