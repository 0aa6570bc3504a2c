. shared/assert.sh
. services/prices/prices.sh

assert_equal "$(written 5)" 0.05
assert_equal "$(written 1999)" 19.99
echo "prices: all is well"
