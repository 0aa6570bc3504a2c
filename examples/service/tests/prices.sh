# The price list is whole, and prices are in it.
[ "$(awk 'END { print NR }' cache/prices)" = 20000 ]
price=$(awk '$1 == "item-42" { print $2 }' cache/prices)
[ "$price" -ge 1 ] && [ "$price" -le 1000 ]
