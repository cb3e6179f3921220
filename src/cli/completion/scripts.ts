/**
 * What each shell is told: it asks `onepull complete -- WORDS` for lines of a value, a tab and a description; `:files` and
 * `:folders` leave it to the shell.
 */
export type Shell = 'bash' | 'zsh' | 'fish';

export const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];

const bash = `# bash completion for onepull. For good: onepull completion bash > ~/.local/share/bash-completion/completions/onepull
_onepull() {
  local line="\${COMP_LINE:0:COMP_POINT}" candidate current prefix=""
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current="\${words[\${#words[@]} - 1]}"
  # To readline a word ends at : and =, so that it replaces only what stands after the last one.
  [[ $current == *[:=]* ]] && prefix="\${current%"\${current##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    case $candidate in
      :files) compopt -o default 2>/dev/null ;;
      :folders) compopt -o dirnames 2>/dev/null ;;
      ?*) COMPREPLY+=("\${candidate#"$prefix"}") ;;
    esac
  done < <("\${words[0]/#\\~\\//$HOME/}" complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -F _onepull onepull
`;

const zsh = `#compdef onepull
# zsh completion for onepull. For good: onepull completion zsh > _onepull in a folder of $fpath
_onepull() {
  local -a lines values
  local line value
  lines=("\${(@f)$(\${~words[1]} complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    case $line in
      :files) _files; return ;;
      :folders) _files -/; return ;;
      *)
        value=\${line%%$'\\t'*}
        values+=("\${value//:/\\\\:}:\${line#*$'\\t'}") ;;
    esac
  done
  _describe onepull values
}
if [[ $funcstack[1] = _onepull ]]; then _onepull "$@"; else compdef _onepull onepull; fi
`;

const fish = `# fish completion for onepull. For good: onepull completion fish > ~/.config/fish/completions/onepull.fish
function __onepull_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in ($before[1] complete -- $before[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$current"
            case ':folders'
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end
complete -c onepull -f -a '(__onepull_complete)'
`;

const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };

export function completionScript(shell: Shell): string {
  return scripts[shell];
}
