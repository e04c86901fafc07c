# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for nunchi(1). What can be completed is asked of nunchi itself, as nunchi.bash does:
# commands and options from its help, checks too, views and columns from `nunchi views`, guests from
# `nunchi list`. Each function prints "WORD<tab>DESCRIPTION" lines.

function __nunchi_commands
    $argv[1] help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  *\(.*\)/\1\t\2/p'
end

# The options that the help of a command names; the text of some begins on the next line.
function __nunchi_options
    $argv[1] help (string split -n ' ' -- $argv[2]) 2>/dev/null | sed -n 's/^  \(-.,\|   \) \(--[a-z0-9-]*\)\( [^ ]\{1,\}\)*   *\(.*\)/\2\t\4/p
        t
        s/^  \(-.,\|   \) \(--[a-z0-9-]*\).*/\2/p'
end

# Whether the help of a command names this option, "-o" or "--output", with a value.
function __nunchi_takes_value
    string match -qr -- '^(-[a-z]|--[a-z0-9-]+)$' $argv[3]
    and $argv[1] help (string split -n ' ' -- $argv[2]) 2>/dev/null | grep -Eq -- "^ +(-., +)?$argv[3](, --[a-z-]+)? [^ ]"
end

# The first column of a list; nothing that the shell would take for more than a word.
function __nunchi_first
    $argv --csv 2>/dev/null | sed -n '2,$s/^\([A-Za-z0-9_:./-]*\),.*/\1/p'
end

# What the word for a guest that runs begins with.
function __nunchi_prefixes
    $argv[1] help 2>/dev/null | sed -n '/^TARGET is/,/^$/s/^  \([a-z]*:\)[A-Z]* .*/\1/p' | sort -u
end

# The words that the help of a command lists below a heading, as "Checks:".
function __nunchi_listed -a program command heading
    $program help $command 2>/dev/null | sed -n "/^$heading:/,/^\$/s/^  //p" | tr -d , | string split -n ' '
end

# The columns of a view or probe, or those of a command that has its own.
function __nunchi_columns -a program command view registry
    switch "$command"
        case yara strings
            __nunchi_listed $program $command Columns
        case '*'
            __nunchi_first $program $registry $view
    end
end

function __nunchi_guests
    __fish_complete_path (commandline -ct)
    set -l running (__nunchi_first $argv[1] list)
    if set -q running[1]
        printf '%s\n' $running
    else
        __nunchi_prefixes $argv[1]
    end
end

# What an option's value may be. Fails if the word is no option with a value.
function __nunchi_value -a program command view registry option
    set -l current (commandline -ct)
    switch $option
        case --pause --color
            printf '%s\n' auto always never
        case --format
            printf '%s\n' elf lime raw
        case --symbols --types --output -o --collect --root --textfile
            __fish_complete_path $current
        case --columns
            set -l before (string match -r '^.*,' -- $current)
            __nunchi_columns $program "$command" "$view" $registry | sed "s/^/$before/"
        case --where
            __nunchi_columns $program "$command" "$view" $registry | sed 's/$/=/'
        case '*'
            __nunchi_takes_value $program "$command" $option
    end
end

# The next argument of a command that has so many already.
function __nunchi_argument -a program command count
    switch $command,$count
        case help,0
            __nunchi_commands $program
        case views,0 show,1
            __nunchi_first $program views
        case probes,0
            __nunchi_first $program probes
        case 'list,*' 'version,*' 'help,*' 'views,*' 'probes,*'
        case doctor,0
            printf '%s\n' plan apply undo stay
            __fish_complete_path (commandline -ct)
        case 'doctor,*' snapshot,1 core,2 'yara,*'
            __fish_complete_path (commandline -ct)
        case mount,1
            __fish_complete_directories (commandline -ct) ''
        case '*,0' 'top,*' 'metrics,*' diff,1
            __nunchi_guests $program
        case 'check,*'
            __nunchi_listed $program check Checks
        case 'diff,*'
            __nunchi_first $program views
        case 'trace,*'
            __nunchi_first $program probes
        case export,1
            printf '%s\n' isf btf system-map elf
    end
end

function __nunchi_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -l command
    set -l view
    set -l registry views
    set -l count 0
    set -l skip no
    # The command, and how many arguments it has so far.
    for word in $words[2..]
        if test $skip = yes
            set skip no
        else if string match -q -- '-*' $word
            __nunchi_takes_value $program "$command" $word; and set skip yes
        else if test -z "$command"
            set command $word
        else
            set count (math $count + 1)
            test $count -eq 2; and set view $word
        end
    end
    switch "$command"
        case modules
            set view kernel_modules
        case sockets
            set view process_open_sockets
        case log
            set view kernel_log
        case trace
            set registry probes
    end
    if test $skip = yes
        __nunchi_value $program "$command" "$view" $registry $words[-1]
    else if string match -q -- '-*' (commandline -ct)
        __nunchi_options $program "$command"
    else if test -z "$command"
        __nunchi_commands $program
    else
        __nunchi_argument $program $command $count
    end
end

complete -c nunchi -f -a '(__nunchi_complete)'
