# Argument: a folder. Whoever started this holds its stdin. Each line of it starts the Engine, with
# that line as further arguments. When it is closed, for whatever reason, all of it goes.
folder=$1

# Several Engines on one host must not give away the same addresses, nor touch each other's rules for
# packets: so each has a bridge of its own, and no rules. Who makes a bridge has its number. Without
# one an Engine would also remove the bridge of the host's own Engine, if it could.
bridge=none number=255
for free in $(seq 0 254); do
    if ip link add "outrider$free" type bridge 2>/dev/null; then
        bridge=outrider$free number=$free
        ip address add "10.213.$number.1/24" dev "$bridge"
        ip link set "$bridge" up
        break
    fi
done
if [ "$bridge" = none ]; then
    echo 'no bridge can be made here: containers have no network but their own' >&2
fi

started=
while read -r more; do
    started=yes
    {
        # shellcheck disable=SC2086  # several arguments
        dockerd --host "unix://$folder/docker.sock" --pidfile "$folder/pid" \
            --data-root "$folder/data" --exec-root "$folder/exec" \
            --containerd-namespace "${folder##*/}" \
            --containerd-plugins-namespace "${folder##*/}-plugins" \
            --bridge "$bridge" \
            --default-address-pool "base=10.214.$number.0/24,size=28" \
            --iptables=false --ip-masq=false --ip-forward=false $more \
            </dev/null >>"$folder/log" 2>&1 &
        echo "$!" >"$folder/engine"
        wait "$!"
        echo "$?" >"$folder/ended"
    } &
done

# It stops its containers first.
if [ -n "$started" ] && [ ! -e "$folder/ended" ]; then
    left=300 engine=
    while [ ! -e "$folder/ended" ] && [ "$left" -gt 0 ]; do
        # One that has only just started has not written it yet.
        if [ -z "$engine" ] && [ -s "$folder/engine" ]; then
            engine=$(cat "$folder/engine") && kill -TERM "$engine"
        fi
        sleep 0.1
        left=$((left - 1))
    done
    [ -e "$folder/ended" ] || kill -KILL "$engine"
fi
wait

# An Engine that was killed leaves containers, below processes that name its folder.
for process in /proc/[0-9]*; do
    if grep -qsF "$folder/exec/containerd" "$process/cmdline"; then
        # shellcheck disable=SC2046  # several numbers
        kill -KILL "${process#/proc/}" $(cat "$process"/task/*/children)
    fi
done 2>/dev/null

while read -r _ place _; do
    case $place in "$folder"/*) umount -l "$place" 2>/dev/null ;; esac
done </proc/mounts
[ "$bridge" = none ] || ip link delete "$bridge"
rm -rf "$folder"
