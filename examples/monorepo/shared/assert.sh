# Ends the script unless two texts are the same.
assert_equal() {
    if [ "$1" != "$2" ]; then
        printf 'expected %s, got %s\n' "$2" "$1" >&2
        exit 1
    fi
}
