test "$(seq 1 300000 | bin/words 300000 | wc -l)" -eq 300000
