# The inside of one container of a pod: a root filesystem of its own that nobody can write, the image's programs in it, the pod's volumes,
# its host name, and then the command, as its user and without any right. Run in namespaces of its own (containers.py).
#   sh container.sh FOLDER HOSTNAME PROGRAMS USER COMMAND...
# FOLDER holds hosts (for /etc/hosts) and mounts (lines of SOURCE TARGET). A line on standard input says that the network is there.
set -eu
folder=$1 name=$2 programs=$3 user=$4
shift 4
read -r _
hostname "$name"
root=$folder/root
mkdir -p "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc proc dev tmp run var opt
ln -s usr/bin usr/sbin usr/lib usr/lib64 .
ln -s ../run var/run
cp /etc/passwd /etc/group /etc/ld.so.cache "$folder/hosts" etc
echo 'hosts: files' >etc/nsswitch.conf
mount --rbind /usr usr
mount --bind "$programs" usr/local/bin
mount --rbind /proc proc
mount --rbind /dev dev
while read -r source target; do
    mkdir -p ".$target"
    mount --bind -o ro "$source" ".$target"
done <"$folder/mounts"
mount -o remount,ro,mode=755 "$root"
# A user namespace knows no user but its root.
as=
[ "$user" = 0 ] || as="--reuid $user --regid $user --clear-groups"
# The end of the run ends this too; a change of the user forgets that, so it comes last.
# shellcheck disable=SC2086
exec chroot . setpriv $as --bounding-set=-all --inh-caps=-all --no-new-privs -- setpriv --pdeathsig KILL -- "$@" </dev/null
