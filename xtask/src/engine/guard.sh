# Arguments: a folder, the name of a bridge or `none`, its address, the addresses of other networks.
# Whoever started this holds its stdin. When that is closed, for whatever reason, all of it goes.
folder=$1 bridge=$2 address=$3 pool=$4

if [ "$bridge" != none ]; then
    ip address add "$address" dev "$bridge"
    ip link set "$bridge" up
fi

{
    dockerd --host "unix://$folder/docker.sock" --pidfile "$folder/pid" \
        --data-root "$folder/data" --exec-root "$folder/exec" \
        --containerd-namespace "${folder##*/}" --containerd-plugins-namespace "${folder##*/}-plugins" \
        --bridge "$bridge" --default-address-pool "$pool" \
        --iptables=false --ip-masq=false --ip-forward=false </dev/null >"$folder/log" 2>&1
    echo "$?" >"$folder/ended"
} &

read -r _

# It stops its containers first.
if [ ! -e "$folder/ended" ]; then
    left=300 engine=
    while [ ! -e "$folder/ended" ] && [ "$left" -gt 0 ]; do
        # One that has only just started has not written it yet.
        if [ -z "$engine" ] && [ -s "$folder/pid" ]; then
            engine=$(cat "$folder/pid") && kill -TERM "$engine"
        fi
        sleep 0.1
        left=$((left - 1))
    done
    [ -e "$folder/ended" ] || kill -KILL "$engine"
fi
wait

while read -r _ place _; do
    case $place in "$folder"/*) umount -l "$place" ;; esac
done </proc/mounts
[ "$bridge" = none ] || ip link delete "$bridge"
rm -rf "$folder"
