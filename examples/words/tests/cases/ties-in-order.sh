test "$(echo 'c b a' | bin/words 2)" = "1 a
1 b"
