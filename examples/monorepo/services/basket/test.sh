. shared/assert.sh
. services/basket/basket.sh

assert_equal "$(total)" 0
assert_equal "$(total 250 199)" 449
echo "basket: all is well"
