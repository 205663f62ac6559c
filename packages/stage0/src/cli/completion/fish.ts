// The script that `rkt completion fish` prints. Runs in stage0.

import { completionTables, type CompletionTables, type Described, POD_STATES, SHELLS } from './tables.ts';

/** The whole script. */
export async function fishCompletion(): Promise<string> {
  return [
    '# fish completion for rkt; printed by: rkt completion fish',
    '',
    functions(await completionTables()),
    MACHINERY,
  ].join('\n');
}

function functions(tables: CompletionTables): string {
  const { commands, flags, globalFlags, wordKinds, values, takingValues, takingImages } = tables;
  return [
    printing(
      '__rkt_commands',
      commands.map(([path, words]) => [path, described(words)]),
    ),
    printing(
      '__rkt_flags',
      flags.map(([path, words]) => [path, described(words)]),
      described(globalFlags),
    ),
    printing(
      '__rkt_word_kinds',
      wordKinds.map(([path, kinds]) => [path, listed(kinds)]),
    ),
    printing(
      '__rkt_values',
      values.map(([flag, words]) => [flag, listed(words)]),
    ),
    `function __rkt_takes_value\n    contains -- $argv[1] ${takingValues.join(' ')}\nend\n`,
    `function __rkt_takes_images\n    contains -- $argv[1] ${takingImages.map(quoted).join(' ')}\nend\n`,
  ].join('\n');
}

const quoted = (text: string): string =>
  `'${text.replaceAll('\\', String.raw`\\`).replaceAll("'", String.raw`\'`)}'`;

function described(words: readonly Described[]): string {
  const pairs = words.map(({ word, meaning }) => `${quoted(word)} ${quoted(meaning)}`);
  return pairs.length === 0 ? '' : String.raw`printf '%s\t%s\n' ${pairs.join(' ')}`;
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? '' : String.raw`printf '%s\n' ${words.map(quoted).join(' ')}`;
}

// A function that prints one line for each word.
function printing(name: string, cases: readonly (readonly [string, string])[], otherwise?: string): string {
  const arms = cases
    .filter(([, action]) => action !== '')
    .map(([word, action]) => `        case ${quoted(word)}\n            ${action}\n`);
  if (otherwise !== undefined) arms.push(`        case '*'\n            ${otherwise}\n`);
  return `function ${name}\n    switch "$argv[1]"\n${arms.join('')}    end\nend\n`;
}

const podArms = Object.entries(POD_STATES).map(
  ([kind, states]) =>
    `        case ${kind}\n            __rkt_pods '^(${states.join('|').replaceAll('*', '.*')})$'`,
);

const MACHINERY = String.raw`# Runs rkt on the directories that the command line names.
function __rkt_ask
    set -l program (string replace -r '^~/' "$HOME/" -- $__rkt_program)
    command $program $__rkt_directories $argv 2>/dev/null
end

# Each pod whose state matches, with its first app; the further apps of a pod begin with a tab.
function __rkt_pods
    for line in (__rkt_ask list --no-legend)
        set -l row (string split \t -- $line)
        string match -qr '^[0-9a-f]' -- $row[1]; or continue
        string match -qr -- $argv[1] $row[4]; and printf '%s\t%s\n' $row[1] $row[2]
    end
end

function __rkt_images
    for line in (__rkt_ask image list --no-legend)
        set -l row (string split \t -- $line)
        printf '%s\t%s\n' $row[1] $row[2]
    end
end

# Candidates of a kind of word, one a line; $argv[2] is what is there of it.
function __rkt_candidates
    switch "$argv[1]"
        case @file file
            __fish_complete_path $argv[2]
        case @directory directory
            __fish_complete_directories $argv[2] ''
        case program
            __fish_complete_command
        case image
            __rkt_images
        case image-or-file
            __rkt_images
            __fish_complete_path $argv[2]
        case shell
            printf '%s\n' \${shells}
\${podArms}
    end
end

function __rkt_value_candidates
    set -l words (__rkt_values $argv[1])
    if string match -q '@*' -- "$words[1]"
        __rkt_candidates $words[1] $argv[2]
    else if set -q words[1]
        printf '%s\n' $words
    end
end

# What may stand behind the words: $argv[1] is what is there of it, then rkt and the words.
function __rkt_complete
    set -l current $argv[1]
    set -l command ''
    set -l flag ''
    set -l inside ''
    set -l words
    set -g __rkt_program $argv[2]
    set -g __rkt_directories
    for word in $argv[3..]
        if test -n "$inside"
            test "$word" = ---; and set inside ''
        else if test -n "$flag"
            string match -qr '^(dir|.*-config)$' -- $flag; and set -a __rkt_directories "--$flag=$word"
            set flag ''
        else if test "$word" = --; and __rkt_takes_images $command
            set inside yes
        else if string match -q -- '--*=*' $word
            string match -qr '^--(dir|.*-config)=' -- $word; and set -a __rkt_directories $word
        else if string match -q -- '--*' $word
            set -l name (string sub -s 3 -- $word)
            __rkt_takes_value "$name"; and set flag $name
        else if not string match -q -- '-*' $word; and count (__rkt_commands $command) >/dev/null
            set command (string trim "$command $word")
        else
            set -a words $word
        end
    end

    test -n "$inside"; and return
    if test -n "$flag"
        __rkt_value_candidates $flag $current
    else if string match -q -- '--*=*' $current
        set -l parts (string split -m 1 = -- $current)
        for candidate in (__rkt_value_candidates (string sub -s 3 -- $parts[1]) $parts[2])
            printf '%s=%s\n' $parts[1] $candidate
        end
    else if string match -q -- '-*' $current
        __rkt_flags $command
    else if count (__rkt_commands $command) >/dev/null
        __rkt_commands $command
    else
        set -l kinds (__rkt_word_kinds $command)
        set -q kinds[1]; or return
        set -l index (math (count $words) + 1)
        set -q kinds[$index]; or set index -1
        if test "$kinds[$index]" = command
            # The words behind help are a command line of their own.
            __rkt_complete "$current" $argv[2] $words
        else
            __rkt_candidates $kinds[$index] $current
        end
    end
end

function __rkt
    set -l current (commandline -ct)
    __rkt_complete "$current" (commandline -opc)
end

complete -c rkt -f -a '(__rkt)'
`
  .replaceAll('\\${podArms}', () => podArms.join('\n'))
  .replaceAll('\\${shells}', SHELLS.join(' '))
  .replaceAll('\\$', '$');
