# One step of a Dockerfile, in a mount namespace of its own.
#   sh step.sh LOWER UPPER run FOLDER USER COMMAND...      in the root filesystem
#   sh step.sh LOWER UPPER copy FOLDER TARGET SOURCE...    into it; a SOURCE is a path of this machine
#   sh step.sh LOWER UPPER take FOLDER TARGET LOWER SOURCE...  into it, from another one
# LOWER: layers as overlayfs wants them, the newest first. UPPER: an empty folder, which is the new layer. FOLDER: where the step works.
set -eu
lower=$1 upper=$2 kind=$3 folder=$4
shift 4
work=$upper.work root=$upper.root
mkdir -p "$upper" "$work" "$root"
mount -t overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" overlay "$root"
case $kind in
run)
    user=$1
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    [ -e "$upper.offline" ] || mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
    exec chroot --userspec="$user" "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
    ;;
copy)
    target=$root/$1
    shift
    ;;
take)
    target=$root/$1
    from=$upper.from
    mkdir -p "$from"
    mount -t overlay -o "lowerdir=$2" overlay "$from"
    shift 2
    cd "$from"
    ;;
esac
# A target with a slash at its end is a folder, and so is one of a folder's content.
case $target in
*/ | */.) mkdir -p "$target" ;;
esac
for source in "$@"; do
    if [ -d "$source" ]; then
        mkdir -p "$target"
        cp -R "$source/." "$target"
    else
        cp "$source" "$target"
    fi
done
