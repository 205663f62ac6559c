// The script that `rkt completion zsh` prints. Runs in stage0.

import { shellFunctions } from './shell-functions.ts';
import { completionTables, POD_STATES, SHELLS } from './tables.ts';

/** The whole script: a file for a directory of $fpath, or to be read by the shell. */
export async function zshCompletion(): Promise<string> {
  return [
    '#compdef rkt',
    '# zsh completion for rkt; printed by: rkt completion zsh',
    '',
    shellFunctions(await completionTables()),
    MACHINERY,
  ].join('\n');
}

const podArms = Object.entries(POD_STATES).map(
  ([kind, states]) => `    ${kind}) _rkt_pods '(${states.join('|')})' ;;`,
);

const MACHINERY = String.raw`# Runs rkt on the directories that the command line names.
_rkt_ask() {
  "\${_rkt_words[1]/#\~\//$HOME/}" "\${_rkt_directories[@]}" "$@" 2>/dev/null
}

# Column 1 of each pod whose state matches; the further apps of a pod begin with a tab.
_rkt_pods() {
  local line
  local -a row
  _rkt_ask list --no-legend | while IFS= read -r line; do
    [[ $line == [0-9a-f]* ]] || continue
    row=("\${(@ps:\t:)line}")
    [[ $row[4] == \${~1} ]] && print -r -- $row[1]
  done
  return 0
}

_rkt_images() {
  local line
  _rkt_ask image list --no-legend | while IFS= read -r line; do
    print -r -- "\${line%%$'\t'*}"
  done
}

# Candidates of a kind of word, one a line; what begins with : is for zsh to find.
_rkt_candidates() {
  case $1 in
    @file | file) print :files ;;
    @directory | directory) print :directories ;;
    program) print :programs ;;
    image) _rkt_images ;;
    image-or-file) _rkt_images; print :files ;;
    shell) print -l \${shells} ;;
\${podArms}
    *) [[ -n $1 ]] && print -rl -- \${=1} ;;
  esac
}

# What may stand at the end of the words, one a line.
_rkt_complete() {
  emulate -L zsh
  local current=$_rkt_words[-1] command='' flag='' inside='' word kind
  local -i index count=0
  local -a kinds
  _rkt_directories=()
  for ((index = 2; index < $#_rkt_words; index++)); do
    word=$_rkt_words[index]
    if [[ -n $inside ]]; then
      [[ $word == --- ]] && inside=''
    elif [[ -n $flag ]]; then
      case $flag in (dir | *-config) _rkt_directories+=("--$flag=$word") ;; esac
      flag=''
    elif [[ $word == -- ]] && _rkt_takes_images "$command"; then
      inside=yes
    elif [[ $word == --*=* ]]; then
      case $word in (--dir=* | --*-config=*) _rkt_directories+=("$word") ;; esac
    elif [[ $word == --* ]]; then
      _rkt_takes_value "\${word#--}" && flag=\${word#--}
    elif [[ $word != -* && -n $(_rkt_commands "$command") ]]; then
      command=\${command:+$command }$word
    else
      ((count += 1))
    fi
  done

  [[ -n $inside ]] && return 0
  if [[ -n $flag ]]; then
    _rkt_candidates "$(_rkt_values "$flag")"
  elif [[ $current == --*=* ]]; then
    _rkt_candidates "$(_rkt_values "\${\${current%%=*}#--}")"
  elif [[ $current == -* ]]; then
    print -l -- \${=$(_rkt_flags "$command")}
  elif [[ -n $(_rkt_commands "$command") ]]; then
    print -l -- \${=$(_rkt_commands "$command")}
  else
    kinds=(\${=$(_rkt_word_kinds "$command")})
    (($#kinds)) || return 0
    kind=$kinds[count+1]
    [[ -n $kind ]] || kind=$kinds[-1]
    if [[ $kind == command ]]; then
      # The words behind help are a command line of their own.
      _rkt_words=("$_rkt_words[1]" "\${(@)_rkt_words[-count-1,-1]}")
      _rkt_complete
    else
      _rkt_candidates "$kind"
    fi
  fi
}

_rkt() {
  local -a _rkt_words _rkt_directories plain open
  local word added=1
  _rkt_words=("\${(@Q)words[1,CURRENT-1]}" "\${(Q)PREFIX}")
  local -a found
  found=("\${(@f)$(_rkt_complete)}")
  [[ $PREFIX == --*=* ]] && compset -P '*='
  for word in "\${(@)found}"; do
    case $word in
      '') ;;
      :files) _files && added=0 ;;
      :directories) _files -/ && added=0 ;;
      :programs) _command_names -e && added=0 ;;
      *=) open+=("$word") ;;
      *) plain+=("$word") ;;
    esac
  done
  (($#plain)) && compadd -a plain && added=0
  (($#open)) && compadd -S '' -a open && added=0
  return added
}

if [[ $funcstack[1] == _rkt ]]; then
  _rkt "$@"
elif (($+functions[compdef])); then
  compdef _rkt rkt
fi
`
  .replaceAll('\\${podArms}', () => podArms.join('\n'))
  .replaceAll('\\${shells}', SHELLS.join(' '))
  .replaceAll('\\$', '$');
