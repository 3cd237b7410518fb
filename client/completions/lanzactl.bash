# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion of lanzactl's command line. Verbs and options are those that its help names.

# The program that is typed says what it knows: lines "  verb   …" or "  --option=… …" of its help.
__lanzactl_verbs() {
        "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

__lanzactl_options() {
        "$@" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
}

# Toplevels of generations.
__lanzactl_toplevels() {
        local link
        for link in /nix/var/nix/profiles/system-*-link; do
                [[ -L $link ]] && readlink "$link"
        done
}

_lanzactl() {
        local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
        local -a words=()

        COMPREPLY=()
        for ((i = 1; i < COMP_CWORD; i++)); do
                # What follows "=" is an option's value.
                if [[ ${COMP_WORDS[i]} != -* && ${COMP_WORDS[i]} != = && ${COMP_WORDS[i - 1]} != = ]]; then
                        verb=${COMP_WORDS[i]}
                        break
                fi
        done

        [[ $word == = ]] && word='' previous='='
        if [[ $previous == = ]]; then
                case ${COMP_WORDS[COMP_CWORD - 2]}${COMP_WORDS[COMP_CWORD - 1]} in
                *--json*) words=(pretty short off) ;;
                *--variable*) words=(PK KEK db dbx) ;;
                *--export*) words=(esl auth) ;;
                *--microsoft*) words=(all windows third-party option-rom) ;;
                *--bits*) words=(2048 4096) ;;
                *--root* | *--config* | *--keys* | *--variables* | *--output*) mapfile -t words < <(compgen -f -- "$word") ;;
                esac
        elif [[ $word == -* ]]; then
                mapfile -t words < <(__lanzactl_options "$program" ${verb:+"$verb"})
        elif [[ -z $verb ]]; then
                mapfile -t words < <(__lanzactl_verbs "$program")
        elif [[ $verb == sync ]]; then
                mapfile -t words < <(__lanzactl_toplevels)
        elif [[ $verb == sign ]]; then
                compopt -o filenames 2>/dev/null || true # a name with a space is one word
                mapfile -t words < <(compgen -f -- "$word")
        fi
        for i in "${words[@]}"; do
                [[ $i == "$word"* ]] && COMPREPLY+=("$i")
        done
}

complete -F _lanzactl lanzactl
