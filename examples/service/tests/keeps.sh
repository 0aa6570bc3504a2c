# What is stored is found again.
[ "$(sh lib/store.sh SET basket apples)" = "+OK" ]
[ "$(sh lib/store.sh STRLEN basket)" = ":6" ]
