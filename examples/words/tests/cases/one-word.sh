test "$(echo hello | bin/words)" = "1 hello"
