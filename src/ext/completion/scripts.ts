export const shells = ["bash", "zsh", "fish"] as const;
export type ShellName = (typeof shells)[number];

/** Printed instead of words where a path is to be completed. */
export const filesMark = ":files";

/**
 * What each shell runs at its start. It asks `nexusd complete` at each Tab: a line for each word, a tab before what it means. Neither what is typed nor a
 * name may be run by Tab: no `eval`, and no `compgen -W`, as the scripts of libraries have them.
 */
export const scripts: Readonly<Record<ShellName, string>> = {
  // Bash splits words at colons, equals signs and ats, too: what it took for the beginning of the line is taken off again.
  bash: `_nexusd() {
  local line=\${COMP_LINE:0:COMP_POINT} words word found each head
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  word=\${words[\${#words[@]} - 1]}
  found=$(nexusd complete -- "\${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [[ $found == ${filesMark} ]]; then
    compopt -o default
    return
  fi
  head=\${word%"\${word##*[$COMP_WORDBREAKS]}"}
  while IFS= read -r each; do
    each=\${each%%$'\\t'*}
    [[ $each == "$word"* && -n $each ]] && COMPREPLY+=("\${each#"$head"}")
  done <<<"$found"
}
complete -F _nexusd nexusd
`,
  zsh: `#compdef nexusd
_nexusd() {
  local found each
  local -a choices
  found=$(nexusd complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if [[ $found == ${filesMark} ]]; then
    _files
    return
  fi
  for each in "\${(@f)found}"; do
    [[ -n $each ]] && choices+=("\${\${each%%$'\\t'*}//:/\\\\:}:\${each#*$'\\t'}")
  done
  _describe nexusd choices
}
if [[ $funcstack[1] == _nexusd ]]; then
  _nexusd "$@"
else
  compdef _nexusd nexusd
fi
`,
  fish: `function __nexusd_words
  set -l words (commandline -opc)
  set -l found (nexusd complete -- $words[2..] (commandline -ct) 2>/dev/null)
  if test "$found" = ${filesMark}
    __fish_complete_path (commandline -ct)
    return
  end
  printf '%s\\n' $found
end
complete -c nexusd -f -a '(__nexusd_words)'
`,
};
