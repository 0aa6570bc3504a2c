test "$(echo 'a b a' | bin/words)" = "2 a
1 b"
