word=$(printf 'x%.0s' $(seq 1 1000))
test "$(echo "$word" | bin/words | wc -c)" -eq 258
