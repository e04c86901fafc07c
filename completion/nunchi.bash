# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for nunchi(1). What can be completed is asked of nunchi itself: commands and
# options from its help, checks too, views and columns from `nunchi views`, guests from `nunchi list`.

# The commands: the words that begin the lines below "Commands:".
_nunchi_commands()
{
	"$1" help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# The options that the help of a command names.
_nunchi_options()
{
	"$1" help ${2:+"$2"} 2>/dev/null | sed -n 's/^  \(-.,\|   \) \(--[a-z0-9-]*\).*/\2/p'
}

# Whether the help of a command names this option, "-o" or "--output", with a value.
_nunchi_takes_value()
{
	[[ $3 =~ ^(-[a-z]|--[a-z0-9-]+)$ ]] &&
		"$1" help ${2:+"$2"} 2>/dev/null | grep -Eq -- "^ +(-., +)?$3(, --[a-z-]+)? [^ ]"
}

# The first column of a list; nothing that the shell would take for more than a word.
_nunchi_first()
{
	"$@" --csv 2>/dev/null | sed -n '2,$s/^\([A-Za-z0-9_:./-]*\),.*/\1/p'
}

# What the word for a guest that runs begins with: the prefixes of the forms below "TARGET is one of:".
_nunchi_prefixes()
{
	"$1" help 2>/dev/null | sed -n '/^TARGET is/,/^$/s/^  \([a-z]*:\)[A-Z]* .*/\1/p' | sort -u
}

# The words that the help of a command lists below a heading, as "Checks:".
_nunchi_listed()
{
	"$1" help "$2" 2>/dev/null | sed -n "/^$3:/,/^\$/s/^  //p" | tr -d ,
}

# The columns of a view or probe, or those of a command that has its own.
_nunchi_columns()
{
	local program=$1 command=$2 list=$3 view=$4

	case $command in
	yara | strings) _nunchi_listed "$program" "$command" Columns ;;
	*) _nunchi_first "$program" "$list" "$view" ;;
	esac
}

_nunchi_reply()
{
	mapfile -t COMPREPLY < <(compgen "$@")
}

# What an option's value may be. Fails if the word before is no option with a value.
_nunchi_value()
{
	local program=$1 command=$2 view=$3 list=$4 before=''

	case $prev in
	--pause) _nunchi_reply -W 'auto always never' -- "$cur" ;;
	--color) _nunchi_reply -W 'auto always never' -- "$cur" ;;
	--format) _nunchi_reply -W 'elf lime raw' -- "$cur" ;;
	--symbols | --types | --output | -o | --collect | --root | --textfile)
		compopt -o filenames
		_nunchi_reply -f -- "$cur"
		;;
	--columns)
		[[ $cur == *,* ]] && before=${cur%,*},
		compopt -o nospace
		_nunchi_reply -P "$before" \
			-W "$(_nunchi_columns "$program" "$command" "$list" "$view")" -- "${cur##*,}"
		;;
	--where)
		compopt -o nospace
		_nunchi_reply -S = -W "$(_nunchi_columns "$program" "$command" "$list" "$view")" \
			-- "$cur"
		;;
	*) _nunchi_takes_value "$program" "$command" "$prev" ;;
	esac
}

# The next argument of a command that has so many already.
_nunchi_argument()
{
	local program=$1 command=$2 count=$3 files

	case $command,$count in
	help,0) _nunchi_reply -W "$(_nunchi_commands "$program")" -- "$cur" ;;
	views,0 | show,1) _nunchi_reply -W "$(_nunchi_first "$program" views)" -- "$cur" ;;
	probes,0) _nunchi_reply -W "$(_nunchi_first "$program" probes)" -- "$cur" ;;
	list,* | version,* | help,* | views,* | probes,*) ;;
	*,0 | top,* | metrics,* | diff,1)
		compopt -o filenames
		_nunchi_reply -f -- "$cur"
		files=("${COMPREPLY[@]}")
		_nunchi_reply -W "$(_nunchi_first "$program" list)" -- "$cur"
		COMPREPLY+=("${files[@]}")
		# Where no guest can be listed, as without root's rights, the prefix helps.
		if [[ ${#COMPREPLY[@]} -eq 0 && $cur != *:* ]]; then
			compopt -o nospace
			_nunchi_reply -W "$(_nunchi_prefixes "$program")" -- "$cur"
		fi
		declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
		;;
	check,*) _nunchi_reply -W "$(_nunchi_listed "$program" check Checks)" -- "$cur" ;;
	diff,*) _nunchi_reply -W "$(_nunchi_first "$program" views)" -- "$cur" ;;
	trace,*) _nunchi_reply -W "$(_nunchi_first "$program" probes)" -- "$cur" ;;
	doctor,0)
		compopt -o filenames
		_nunchi_reply -f -W 'plan apply undo stay' -- "$cur"
		;;
	doctor,*)
		compopt -o filenames
		_nunchi_reply -f -- "$cur"
		;;
	export,1) _nunchi_reply -W 'isf btf system-map elf' -- "$cur" ;;
	mount,1)
		compopt -o filenames
		_nunchi_reply -d -- "$cur"
		;;
	snapshot,1 | core,2 | yara,*)
		compopt -o filenames
		_nunchi_reply -f -- "$cur"
		;;
	esac
}

_nunchi()
{
	local program=${COMP_WORDS[0]} command='' view='' list=views count=0 i
	local cur prev words cword

	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n := cur prev words cword
	else
		cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	fi
	COMPREPLY=()

	# The command, and how many arguments it has so far.
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-*) _nunchi_takes_value "$program" "$command" "${words[i]}" && ((i++)) ;;
		*)
			if [[ -z $command ]]; then
				command=${words[i]}
			elif ((++count == 2)); then
				view=${words[i]}
			fi
			;;
		esac
	done
	case $command in
	modules) view=kernel_modules ;;
	sockets) view=process_open_sockets ;;
	log) view=kernel_log ;;
	trace) list=probes ;;
	esac

	_nunchi_value "$program" "$command" "$view" "$list" && return
	if [[ $cur == -* ]]; then
		_nunchi_reply -W "$(_nunchi_options "$program" "$command")" -- "$cur"
	elif [[ -z $command ]]; then
		_nunchi_reply -W "$(_nunchi_commands "$program")" -- "$cur"
	else
		_nunchi_argument "$program" "$command" "$count"
	fi
}

complete -F _nunchi nunchi
