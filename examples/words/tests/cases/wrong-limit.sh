if bin/words many < /dev/null; then
    exit 1
fi
