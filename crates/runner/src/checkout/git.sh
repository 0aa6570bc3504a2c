# Checks a git repository out. All values come from variables.
url=$OUTRIDER_CHECKOUT_URL
directory=$OUTRIDER_CHECKOUT_DIRECTORY
revision=$OUTRIDER_CHECKOUT_REVISION
reference=$OUTRIDER_CHECKOUT_REFERENCE
branch=$OUTRIDER_CHECKOUT_BRANCH
filter=$OUTRIDER_CHECKOUT_FILTER
depth=$OUTRIDER_CHECKOUT_DEPTH

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v git >/dev/null 2>&1 ||
    fail "There is no git here, and checkout needs it." "Install git on the runner's host or in the job's image."

mkdir -p -- "$directory"
cd -- "$directory"
if [ -e .git ]; then
    printf 'Fetching %s into the repository in %s\n' "$url" "$directory"
    git remote set-url origin "$url" 2>/dev/null || git remote add origin "$url"
else
    for entry in * .[!.]* ..?*; do
        # The runner's own directory does not count.
        if [ "$entry" != .outrider ] && { [ -e "$entry" ] || [ -L "$entry" ]; }; then
            fail "$directory is not empty and not a git repository." \
                "Remove what is in there, or give checkout another path."
        fi
    done
    printf 'Cloning %s into %s\n' "$url" "$directory"
    git init --quiet .
    git remote add origin "$url"
fi
git config gc.auto 0

# A part of what is asked for may not be on the server: the caller tells.
fetch() {
    if [ -n "$depth" ]; then
        # Tags would bring their history along.
        git fetch --quiet --force --no-tags "--depth=$depth" origin "$@"
        return
    fi
    if [ -n "$filter" ]; then
        # Fetching without file contents is broken in git 2.41.0, and not every server offers it.
        case $(git --version) in
            *' 2.41.0'*) ;;
            *) git fetch --quiet --force --tags "--filter=$filter" origin "$@" 2>/dev/null && return 0 ;;
        esac
        git config --unset remote.origin.promisor || true
        git config --unset remote.origin.partialclonefilter || true
    fi
    git fetch --quiet --force --tags origin "$@"
}

if [ -n "$reference" ]; then
    case $reference in
        -*) fail "\`$reference\` is not a branch, a tag or a ref." ;;
    esac
    fetch "$reference"
    fetched=$(git rev-parse --verify --quiet FETCH_HEAD^{commit})
else
    fetch '+refs/heads/*:refs/remotes/origin/*'
    git remote set-head origin --auto >/dev/null 2>&1 || true
    fetched=$(git rev-parse --verify --quiet 'refs/remotes/origin/HEAD^{commit}' || true)
fi

if [ -n "$revision" ]; then
    commit() { git rev-parse --verify --quiet --end-of-options "$revision^{commit}"; }
    case $revision in
        -*) fail "\`$revision\` is not a commit." ;;
    esac
    commit >/dev/null 2>&1 || fetch "$revision" || fetch '+refs/heads/*:refs/remotes/origin/*'
    target=$(commit) || fail "There is no commit $revision in $url." "Was it pushed?"
else
    target=$fetched
fi
[ -n "$target" ] || fail "Nothing tells which commit to check out." "Give the pipeline a branch, a tag or a revision."

if [ -n "$branch" ]; then
    git checkout --quiet --force -B "$branch" "$target"
    printf 'Branch %s is at %s\n' "$branch" "$target"
else
    git checkout --quiet --force --detach "$target"
    printf 'HEAD is at %s\n' "$target"
fi
