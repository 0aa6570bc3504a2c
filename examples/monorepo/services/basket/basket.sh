# Prints the sum of amounts in cents.
total() {
    sum=0
    for amount in "$@"; do
        sum=$((sum + amount))
    done
    echo "$sum"
}
