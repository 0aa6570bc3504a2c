# What is removed is gone.
sh lib/store.sh SET order 1 > /dev/null
sh lib/store.sh DEL order > /dev/null
[ "$(sh lib/store.sh EXISTS order)" = ":0" ]
