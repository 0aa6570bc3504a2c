# Arguments: a folder. Runs in namespaces of its own, so that nothing of the host's Podman or its
# network is touched, and nothing is left when this ends.
folder=$1

# Where Podman keeps the locks of all its containers.
mount -t tmpfs none /dev/shm

{
    # Not more than this process has: not everybody may raise them.
    files=$(ulimit -Hn)
    echo '[containers]'
    echo "default_ulimits = [\"nofile=$files:$files\", \"nproc=4096:4096\"]"
    echo '[engine]'
    echo 'cgroup_manager = "cgroupfs"'
    echo 'events_logger = "file"'
    # crun refuses hosts that have both versions of cgroups.
    [ -e /sys/fs/cgroup/cgroup.controllers ] || echo 'runtime = "runc"'
} >"$folder/containers.conf"

# The registries of tests are here, and speak without TLS.
ip link set lo up
{
    echo '[[registry]]'
    echo 'location = "127.0.0.1"'
    echo 'insecure = true'
} >"$folder/registries.conf"

export CONTAINERS_CONF="$folder/containers.conf"
export CONTAINERS_REGISTRIES_CONF="$folder/registries.conf"
exec podman --root "$folder/root" --runroot "$folder/run" --tmpdir "$folder/tmp" \
    system service --time=0 "unix://$folder/podman.sock"
