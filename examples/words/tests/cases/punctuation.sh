test "$(echo "stop, stop; go!" | bin/words)" = "2 stop
1 go"
