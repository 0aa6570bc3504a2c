test "$(yes 'to be or not to be' | head -n 300000 | bin/words 1)" = "600000 be"
