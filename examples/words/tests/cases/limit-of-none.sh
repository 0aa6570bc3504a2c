test -z "$(echo hello | bin/words 0)"
