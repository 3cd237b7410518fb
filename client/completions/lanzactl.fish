# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of lanzactl's command line. Verbs and options are those that its help names.

# The program that is typed, and its verb if there is one.
function __lanzactl_typed
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    echo $words[1]
    for word in $words[2..]
        if not string match --quiet -- '-*' $word
            echo $word
            return
        end
    end
end

function __lanzactl_complete
    set -l typed (__lanzactl_typed)
    set -l word (commandline --current-token --cut-at-cursor)
    switch $word
        case '-*'
            $typed --help 2>/dev/null | string replace --regex --filter '^  (--[a-z-]+).*' '$1'
        case '*'
            if test (count $typed) -eq 1
                $typed --help 2>/dev/null | string replace --regex --filter '^  ([a-z][a-z-]+)  +(.*)' '$1\t$2'
            else if test $typed[2] = sync
                for link in /nix/var/nix/profiles/system-*-link
                    readlink $link
                end
            end
    end
end

function __lanzactl_verb_is
    set -l typed (__lanzactl_typed)
    test (count $typed) -eq 2; and contains -- $typed[2] $argv
end

complete --command lanzactl --no-files --arguments '(__lanzactl_complete)'
complete --command lanzactl --long-option json --exclusive --arguments 'pretty short off'
for option in root config keys variables
    complete --command lanzactl --long-option $option --require-parameter --force-files
end
complete --command lanzactl --long-option variable --exclusive --arguments 'PK KEK db dbx' --condition '__lanzactl_verb_is list-enrolled-keys'
complete --command lanzactl --long-option export --exclusive --arguments 'esl auth' --condition '__lanzactl_verb_is enroll-keys'
complete --command lanzactl --long-option microsoft --exclusive --arguments 'all windows third-party option-rom' --condition '__lanzactl_verb_is enroll-keys setup'
complete --command lanzactl --force-files --condition '__lanzactl_verb_is sign'
complete --command lanzactl --long-option output --require-parameter --force-files --condition '__lanzactl_verb_is enroll-keys sign'
complete --command lanzactl --long-option bits --exclusive --arguments '2048 4096' --condition '__lanzactl_verb_is create-keys'
