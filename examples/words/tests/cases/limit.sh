test "$(seq 1 100 | bin/words 3 | wc -l)" -eq 3
