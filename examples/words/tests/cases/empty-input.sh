test -z "$(printf '' | bin/words)"
