# Checks a commit out, after fetching it unless that was done.
connect() {
    git remote set-url origin "$url" 2>/dev/null || git remote add origin "$url"
    git config gc.auto 0
}

fetch() {
    if [ -n "$depth" ]; then
        # Tags would bring their history along.
        talk fetch --quiet --force --no-tags "--depth=$depth" origin "$@"
        return
    fi
    if [ -n "$filter" ]; then
        talk fetch --quiet --force --no-tags "--filter=$filter" origin "$@" && return 0
        # Once file contents are left out, they are to be had from the server only.
        [ -z "$(find .git/objects -name '*.promisor')" ] || return
        filter=
        git config --unset remote.origin.promisor || true
        git config --unset remote.origin.partialclonefilter || true
    fi
    talk fetch --quiet --force --no-tags origin "$@"
}

# Only what is asked for, and no more history than that takes.
obtain_shallow() {
    if [ -n "$revision" ] && fetch "+$revision:refs/outrider/wanted"; then
        commit=$(known "$revision") && return 0
    fi
    fetch "+${reference:-HEAD}:refs/outrider/wanted" || return
    ! commit=$(known "${revision:-refs/outrider/wanted}") || return 0
    printf 'Commit %s is not among the last %s: fetching all\n' "$revision" "$depth"
    depth=
    ! [ -e .git/shallow ] || talk fetch --quiet --force --no-tags --unshallow origin || return
    obtain refs/remotes/origin
}

# Fetching without file contents is broken in git 2.41.0.
case $(git --version) in
    *' 2.41.0'*) filter= ;;
esac
if [ -n "${OUTRIDER_CHECKOUT_SEEDED-}" ]; then
    cd -- "$directory"
    connect
    commit=$(known refs/outrider/wanted) || exit "$OUTRIDER_CHECKOUT_DAMAGED"
else
    enter
    if [ -e .git ]; then
        printf 'Fetching %s into the repository in %s\n' "$url" "$called"
    else
        printf 'Cloning %s into %s\n' "$url" "$called"
        git init --quiet .
    fi
    connect
    if [ -n "$depth" ]; then
        obtain_shallow || complain
    else
        [ -n "$revision$reference" ] || ask || complain
        obtain refs/remotes/origin || complain
    fi
    [ -n "$commit" ] || missing
fi
git update-ref -d refs/outrider/wanted 2>/dev/null || true

if [ -n "$branch" ]; then
    set -- -B "$branch"
    where="Branch $branch"
else
    set -- --detach
    where=HEAD
fi
if ! said=$(git checkout --quiet --force "$@" "$commit" 2>&1); then
    case $said in
        # File contents come only now where they were left out.
        *'promisor remote'*) complain ;;
    esac
    printf '%s\n' "$said" >&2
    # What came from a damaged mirror is made anew; an existing repository is the job's own.
    if [ -e .git/outrider-new ] && ! git fsck --no-dangling --no-progress >/dev/null 2>&1; then
        rm -rf .git
        exit "$OUTRIDER_CHECKOUT_DAMAGED"
    fi
    exit 1
fi
[ -z "$said" ] || printf '%s\n' "$said" >&2
rm -f .git/outrider-new
printf '%s is at %s\n' "$where" "$commit"
