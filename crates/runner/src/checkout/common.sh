# What both scripts of checkout share. All values come from variables.
url=$OUTRIDER_CHECKOUT_URL
directory=$OUTRIDER_CHECKOUT_DIRECTORY
called=$OUTRIDER_CHECKOUT_CALLED
revision=$OUTRIDER_CHECKOUT_REVISION
reference=$OUTRIDER_CHECKOUT_REFERENCE
branch=$OUTRIDER_CHECKOUT_BRANCH
filter=$OUTRIDER_CHECKOUT_FILTER
depth=$OUTRIDER_CHECKOUT_DEPTH
said=

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v git >/dev/null 2>&1 ||
    fail "There is no git on the runner's host, and checkout needs it." "Install git there: the job's image needs none."
case $url in
    -*) fail "\`$url\` is not the URL of a repository." ;;
esac
case $reference in
    -*) fail "\`$reference\` is not a branch, a tag or a ref." ;;
esac
case $revision in
    -*) fail "\`$revision\` is not a commit." ;;
esac

# Makes the directory and enters it. What is in there must be a repository, or nothing.
enter() {
    mkdir -p -- "$directory"
    cd -- "$directory"
    [ ! -e .git ] || return 0
    for entry in * .[!.]* ..?*; do
        case $entry in
            # The runner's own files do not count.
            .outrider-*) continue ;;
        esac
        if [ -e "$entry" ] || [ -L "$entry" ]; then
            fail "$called is not empty and not a git repository." \
                "Remove what is in there, or give checkout another path."
        fi
    done
}

# Runs a git command that talks to the server, and keeps what it says for `complain`. In English,
# which `complain` understands.
talk() {
    said=$(LC_ALL=C git "$@" 2>&1)
}

# Says what git said, and what can be done about it.
complain() {
    printf '%s\n' "$said" >&2
    case $said in
        *'REMOTE HOST IDENTIFICATION HAS CHANGED'* | *'Host key verification failed'*)
            fail "The server's SSH host key is not the one that is known here: somebody may be in between." \
                "If it was changed on purpose, remove the old line from ${OUTRIDER_CHECKOUT_KNOWN_HOSTS:-the file known_hosts}." ;;
        *'Permission denied'* | *'Too many authentication failures'*)
            fail "The server takes none of the SSH keys that this job has." \
                "Add an SSH key to the project, or a key of the runner's user as a deploy key to the repository." ;;
        *'could not read Username'* | *'could not read Password'* | *'Authentication failed'* | *'Invalid username or'* | *' 401'* | *' 403'*)
            fail "The server wants other credentials for this repository." \
                "Set the project variable OUTRIDER_GIT_TOKEN to a token that may read it." ;;
        *"couldn't find remote ref"*)
            missing ;;
        *'ot found'* | *'does not exist'* | *'does not appear to be a git repository'*)
            fail "There is no such repository, or it is not shown to whoever asks without the right key." \
                "Check its URL, and the project's SSH key or OUTRIDER_GIT_TOKEN." ;;
        *'No space left'* | *'quota exceeded'*)
            fail "The disk is full." "Make room where the runner has its files." ;;
        *)
            fail "The repository could not be fetched. Check that this host reaches its server." ;;
    esac
}

# The commit behind a name, if it is here.
known() {
    git rev-parse --verify --quiet --end-of-options "$1^{commit}" 2>/dev/null
}

# The commit that is asked for, if a branch or tag leads to it. $1 is where the server's branches are.
wanted() {
    if [ -n "$revision" ]; then
        known "$revision"
        return
    fi
    case $reference in
        refs/heads/*) known "$1/${reference#refs/heads/}" ;;
        refs/tags/*) known "$reference" ;;
        '' | refs/*) return 1 ;;
        *)
            if [ -n "$branch" ]; then
                known "$1/$reference" || known "refs/tags/$reference"
            else
                known "refs/tags/$reference" || known "$1/$reference"
            fi ;;
    esac
}

# Asks the server where its HEAD is, whatever the repository here is like. Sets `head`, and what is
# asked for where nothing was.
ask() {
    said=$(unset GIT_DIR && cd / && LC_ALL=C git ls-remote --symref -- "$url" HEAD 2>&1) || return
    head=$(printf '%s\n' "$said" | sed -n 's|^ref: \(refs/heads/.*\)[[:space:]]HEAD$|\1|p')
    [ -n "$revision$reference" ] ||
        revision=$(printf '%s\n' "$said" | sed -n 's|^\([0-9a-f]\{40,\}\)[[:space:]]HEAD$|\1|p')
}

# Fetches all branches and tags, as a clone has them, and then what lies beside them: `fetch` is the
# caller's. $1 is where branches go. Sets `commit`, to nothing where the server does not have it.
obtain() {
    fetch "+refs/heads/*:$1/*" '+refs/tags/*:refs/tags/*' || return
    commit=$(wanted "$1") || commit=
    case $commit$reference in
        refs/heads/* | refs/tags/*) ;;
        refs/*)
            fetch "+$reference:refs/outrider/wanted" || return
            commit=$(known "${revision:-refs/outrider/wanted}") || commit= ;;
    esac
    case $commit$revision in
        '' | *[!0-9a-f]*) return 0 ;;
    esac
    # Not every server gives out commits by their name.
    if [ -z "$commit" ] && fetch "+$revision:refs/outrider/wanted"; then
        commit=$(known "$revision") || commit=
    fi
}

missing() {
    [ -z "$revision" ] ||
        fail "There is no commit $revision in $url." "Was it pushed? Was its branch force-pushed since?"
    [ -z "$reference" ] || fail "There is no branch, tag or ref $reference in $url." "Was it deleted since?"
    fail "Nothing tells which commit to check out." "Give the pipeline a branch, a tag or a revision."
}
