bin/words --version | grep -q '^words '
