# Prints the commit that a change is judged against: $CI_BASE, else where this branch left origin/main, else the commit in .ci/base, which
# is the last one that passed everything. Fails where none of them is known.
base_commit() {
  local base
  for base in "${CI_BASE:-}" "$(git merge-base HEAD origin/main 2>/dev/null)" "$(cat .ci/base 2>/dev/null)"; do
    # Right after a push, origin/main is this very commit.
    [ -n "$base" ] && [ "$base" != "$(git rev-parse HEAD)" ] && git cat-file -e "$base^{commit}" 2>/dev/null && echo "$base" && return
  done
  return 1
}
