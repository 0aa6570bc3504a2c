# Prints an amount in cents as people write it.
written() {
    printf '%d.%02d\n' $(($1 / 100)) $(($1 % 100))
}
