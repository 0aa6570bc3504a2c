# Makes a list of prices: what a real project would compile or download.
# usage: sh lib/make-prices.sh FILE
echo "making the price list"
mkdir -p "$(dirname "$1")"
awk 'BEGIN { for (n = 1; n <= 20000; n++) print "item-" n, (n * 7919) % 1000 + 1 }' > "$1"
