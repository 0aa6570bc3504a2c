# Every visit is counted.
key=visits-$CIRCLE_WORKFLOW_ID
sh lib/store.sh SET "$key" 0 > /dev/null
sh lib/store.sh INCR "$key" > /dev/null
[ "$(sh lib/store.sh INCR "$key")" = ":2" ]
