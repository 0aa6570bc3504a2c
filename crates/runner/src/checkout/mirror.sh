# Fetches into the mirror, whose lock the runner holds, and makes a repository from it that needs
# the mirror no more: its objects are hard links.
mirror=$OUTRIDER_CHECKOUT_MIRROR
damaged() {
    printf '%s\n' "$said" >&2
    exit "$OUTRIDER_CHECKOUT_DAMAGED"
}

enter
GIT_DIR=$mirror
export GIT_DIR
if [ -e "$mirror" ]; then
    printf 'Fetching %s into the mirror of this runner\n' "$url"
    # A git that was ended in the middle leaves them.
    said=$(find "$mirror" -name '*.lock' -type f -exec rm -f {} + 2>&1) || damaged
    said=$(find "$mirror/objects" -name 'tmp_*' -prune -exec rm -rf {} + 2>&1) || damaged
    new=
else
    printf 'Making a mirror of %s on this runner\n' "$url"
    talk init --quiet --bare --template= || damaged
    new=1
fi

fetch() {
    talk -c core.hooksPath=/dev/null -c gc.auto=0 -c maintenance.auto=false -c fetch.unpackLimit=1 \
        fetch --quiet --force --prune --no-tags --no-write-fetch-head "$url" "$@"
}

# One more connection, which a commit or branch by name does not need.
if [ -n "$new" ] || [ -z "$revision$reference" ]; then
    ask || complain
    [ -z "$head" ] || git symbolic-ref HEAD "$head" || damaged
fi
if ! obtain refs/heads; then
    # A server that answers has no part in it. What was cut off is worth another try.
    first=$said
    ask || { said=$first && complain; }
    obtain refs/heads || damaged
fi
if [ -z "$commit" ]; then
    [ -n "$new" ] || git fsck --connectivity-only --no-dangling --no-progress >/dev/null 2>&1 || damaged
    missing
fi
# Every fetch adds a pack. What is merged here stays in the repositories that were made from it.
set -- "$mirror"/objects/pack/*.pack
[ $# -lt 50 ] || git repack --quiet -d --geometric=2 || true

unset GIT_DIR
if [ -e .git ]; then
    printf 'Taking it into the repository in %s\n' "$called"
    talk fetch --quiet --force --no-tags --no-auto-gc "$mirror" '+refs/heads/*:refs/remotes/origin/*' \
        '+refs/tags/*:refs/tags/*' "+$commit:refs/outrider/wanted" || damaged
else
    # git refuses to clone into a directory that holds the runner's own file.
    rm -rf .outrider-clone
    talk clone --quiet --no-checkout --origin origin -- "$mirror" .outrider-clone || { rm -rf .outrider-clone; damaged; }
    mv .outrider-clone/.git .git
    rmdir .outrider-clone
    git update-ref refs/outrider/wanted "$commit" || { rm -rf .git; damaged; }
    : >.git/outrider-new
fi
