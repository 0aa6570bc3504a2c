test "$(echo 'Tea tea TEA' | bin/words)" = "3 tea"
